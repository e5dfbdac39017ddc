"""Folders of GeoTIFF scenes to train on: swaths of dark and bright regions, tiled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes

from tests.support.folders import draw_regions, write_description
from tests.support.rasters import write_raster
from tests.support.vectors import write_features

CRS = "EPSG:32633"
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_400_000)
NODATA = 0
UNKNOWN = 255
PLACE: dict[str, Any] = {"crs": CRS, "transform": TRANSFORM}
TILES: dict[str, Any] = {
    "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate",
}  # fmt: skip


def draw_scene(
    size: tuple[int, int], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint8]]:
    """Draw a scene: uint8 (H, W, 3), 0 where missing; its valid pixels; and its labels.

    A third of the pixels is missing, outside of a swath, and a part of the others is unlabelled.
    """
    image, labels = draw_regions(size, seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    valid = np.abs(columns - size[1] / 2 + rows / 4 - size[0] / 8) < size[1] / 3
    unlabelled = (rows // 40 + columns // 60) % 5 == seed % 5
    labels = np.where(unlabelled, UNKNOWN, labels).astype(np.uint8)
    return np.where(valid[..., None], np.maximum(image, 1), NODATA).astype(np.uint8), valid, labels


def write_scene(folder: Path, name: str, size: tuple[int, int], seed: int, labels: str) -> None:
    """Write a scene as `images/NAME.tif`, with its labels.

    Args:
        folder: made if it does not exist.
        name: of the files.
        size: height and width.
        seed: of `draw_scene`.
        labels: suffix of the labels: ".tif", ".gpkg", ".geojson" or ".fgb".
    """
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image, _, known = draw_scene(size, seed)
    bands = np.moveaxis(image, 2, 0)
    write_raster(folder / "images" / f"{name}.tif", bands, nodata=NODATA, **PLACE, **TILES)
    path = folder / "labels" / f"{name}{labels}"
    if labels == ".tif":
        write_raster(path, known[None], nodata=UNKNOWN, **PLACE, **TILES)
    else:
        polygons = outline(known)
        write_features(path, *zip(*polygons, strict=True), CRS)


def outline(labels: NDArray[np.uint8]) -> list[tuple[Any, str]]:
    """Return the outlines of labels as polygons with the names of classes, but those unknown."""
    names = {0: "dark", 1: "bright"}
    found: Iterable[tuple[Any, float]] = shapes(labels, mask=labels != UNKNOWN, transform=TRANSFORM)
    return [(shapely.geometry.shape(shape), names[int(value)]) for shape, value in found]


def write_scene_folder(folder: Path, labels: str = ".tif", *lines: str) -> Path:
    """Write a folder of three scenes, the last one for validation.

    Args:
        folder: made here.
        labels: suffix of the labels.
        *lines: further ones of `dataset.toml`.
    """
    for index, size in enumerate([(600, 700), (333, 512), (520, 430)]):
        write_scene(folder, f"scene{index}", size, index, labels)
    write_description(folder, *lines)
    (folder / "train.txt").write_text("scene0\nscene1\n")
    (folder / "validation.txt").write_text("scene2\n")
    return folder
