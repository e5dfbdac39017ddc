"""Faults of scenes and of polygons, told before training."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio.shutil
import shapely
from affine import Affine

from model.data.folders import DatasetError, read_dataset
from tests.support.rasters import write_raster
from tests.support.scene_folders import (
    CRS,
    PLACE,
    TILES,
    TRANSFORM,
    draw_scene,
    outline,
    write_scene_folder,
)
from tests.support.vectors import write_features

SIZE = (600, 700)
BOTH = pytest.mark.parametrize("scene_bytes", [0, 1 << 30], ids=["windows", "whole"])


@pytest.fixture
def folder(tmp_path):
    return write_scene_folder(tmp_path / "data")


def faults_of(folder, scene_bytes):
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder, scene_bytes)
    assert all("\n" not in fault for fault in caught.value.faults)
    return caught.value.faults


def relabel(folder, labels=None, **profile):
    labels = draw_scene(SIZE, 0)[2] if labels is None else labels
    path = folder / "labels" / "scene0.tif"
    write_raster(path, labels[None], **(PLACE | TILES | {"nodata": 255} | profile))


def redraw(folder, polygons, names, crs=CRS, suffix=".gpkg", **options):
    """Polygons in place of the label raster."""
    (folder / "labels" / "scene0.tif").unlink()
    return write_features(folder / "labels" / f"scene0{suffix}", polygons, names, crs, **options)


@BOTH
def test_labels_of_another_system_are_told_with_both(folder, scene_bytes):
    relabel(folder, crs="EPSG:32634")

    assert faults_of(folder, scene_bytes) == (
        (
            "labels/scene0.tif: labels must be on the grid of their image; its coordinate "
            "reference system is EPSG:32634, the image's EPSG:32633"
        ),
    )


@BOTH
def test_labels_on_another_grid_are_told_with_both(folder, scene_bytes):
    relabel(folder, transform=TRANSFORM * Affine.translation(0.5, 0))

    assert faults_of(folder, scene_bytes) == (
        (
            "labels/scene0.tif: labels must be on the grid of their image; its transform is "
            "(10, 0, 500005, 0, -10, 5400000), the image's (10, 0, 500000, 0, -10, 5400000)"
        ),
    )


@BOTH
def test_labels_whose_transform_is_rounded_are_taken(folder, scene_bytes):
    relabel(folder, transform=Affine(10.000001, 0, 500_000, 0, -10, 5_400_000.4))

    assert read_dataset(folder, scene_bytes).training


@BOTH
def test_labels_without_a_place_are_held_to_the_size_alone(folder, scene_bytes):
    labels = draw_scene(SIZE, 0)[2]
    path = folder / "labels" / "scene0.tif"
    write_raster(path, labels[None], **TILES)
    assert read_dataset(folder, scene_bytes).training

    write_raster(path, labels[None, :, :-1], **TILES)
    assert faults_of(folder, scene_bytes) == (
        (
            "labels/scene0.tif: must have the image's height and width; scene0.tif is 600×700, "
            "this is 600×699"
        ),
    )


@BOTH
def test_unknown_ids_are_told(folder, scene_bytes):
    labels = draw_scene(SIZE, 0)[2]
    labels[300, 350:352] = 2, 9
    relabel(folder, labels)

    assert faults_of(folder, scene_bytes) == (
        "labels/scene0.tif: class ids must be 0 to 1, or 255; it holds 2, 9",
    )


@BOTH
def test_labels_that_are_all_unknown_are_told(folder, scene_bytes):
    relabel(folder, np.full(SIZE, 255, np.uint8))

    assert faults_of(folder, scene_bytes) == ("images/scene0.tif: no valid pixel has a label",)


@BOTH
def test_a_scene_without_a_valid_pixel_is_told_beside_a_faulty_description(folder, scene_bytes):
    bands = np.zeros((3, *SIZE), np.uint8)
    write_raster(folder / "images" / "scene0.tif", bands, nodata=0, **PLACE, **TILES)
    (folder / "dataset.toml").write_text('name = "regions"\n')

    first, second = faults_of(folder, scene_bytes)
    assert first.startswith("dataset.toml: classes must be a list")
    assert second == "images/scene0.tif: no valid pixel has a label"


def test_labels_that_are_no_map_are_told(folder):
    path = folder / "labels" / "scene0.tif"
    write_raster(path, np.zeros((2, *SIZE), np.uint8), **PLACE, **TILES)
    write_raster(folder / "labels" / "scene1.tif", np.zeros((1, 333, 512), np.float32), **PLACE)

    assert faults_of(folder, 0) == (
        "labels/scene0.tif: labels must have one channel; there are 2",
        "labels/scene1.tif: labels must be whole numbers; they are float32",
    )


def test_a_mask_of_another_size_is_told(folder):
    (folder / "masks").mkdir()
    write_raster(folder / "masks" / "scene0.tif", np.ones((1, 9, 9), np.uint8), **TILES)

    (fault,) = faults_of(folder, 0)
    assert fault.startswith("masks/scene0.tif: must have the image's height and width; ")


def test_a_scene_with_two_masks_is_told(folder):
    (folder / "masks").mkdir()
    write_raster(folder / "masks" / "scene0.tif", np.ones((1, *SIZE), np.uint8), **TILES)
    beside = folder / "images" / "scene0.tif.msk"
    write_raster(beside, np.full((1, *SIZE), 255, np.uint8), **TILES)

    (fault,) = faults_of(folder, 0)
    assert fault.startswith("images/scene0.tif: ")
    assert "scene0.tif.msk must not lie beside a raster whose mask is given" in fault


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_truncated_scene_is_told(folder, kind):
    path = folder / kind / "scene0.tif"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])

    (fault,) = faults_of(folder, 0)
    assert fault.startswith(f"{kind}/scene0.tif: raster must be whole and undamaged; ")


def test_a_virtual_raster_of_a_file_that_is_gone_is_told(folder):
    path = folder / "images" / "scene0.tif"
    rasterio.shutil.copy(path, path.with_suffix(".vrt"), driver="VRT")
    path.unlink()

    (fault,) = faults_of(folder, 0)
    assert fault.startswith("images/scene0.vrt: raster must be whole and undamaged; ")
    assert "No such file" in fault


def test_a_virtual_raster_that_is_none_is_told(folder):
    path = folder / "images" / "scene0.tif"
    path.rename(path.with_suffix(".vrt")).write_text("<VRTDataset></VRTDataset>")

    (fault,) = faults_of(folder, 0)
    assert fault.startswith("images/scene0.vrt: raster must be one that GDAL opens; ")


@BOTH
@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_unknown_classes_of_polygons_are_told_with_their_features(folder, suffix, scene_bytes):
    polygons, names = map(list, zip(*outline(draw_scene(SIZE, 0)[2]), strict=True))
    names[1], names[2] = "lava", "lava"
    redraw(folder, polygons, names, suffix=suffix)

    (fault,) = faults_of(folder, scene_bytes)
    assert fault == (
        f"labels/scene0{suffix}: features 2, 3 must have a class in the attribute 'class': "
        "dark, bright, or an id; it is 'lava'"
    )


@pytest.mark.parametrize("value", [None, 2, 1.5, True, "7", ""])
def test_what_is_no_class_is_told(folder, value):
    redraw(
        folder, [shapely.box(500_000, 5_394_000, 507_000, 5_400_000)], [value], suffix=".geojson"
    )

    (fault,) = faults_of(folder, 0)
    assert fault.endswith(f"dark, bright, or an id; it is {value!r}")


@BOTH
def test_invalid_polygons_and_other_geometries_are_told(folder, scene_bytes):
    bow = shapely.Polygon(
        [(501_000, 5_396_000), (503_000, 5_398_000), (503_000, 5_396_000), (501_000, 5_398_000)]
    )
    line = shapely.LineString([(501_000, 5_396_000), (503_000, 5_398_000)])
    redraw(folder, [bow, line], ["dark", "dark"], suffix=".geojson")

    faults = "; ".join(faults_of(folder, scene_bytes))
    assert "feature 1 must be a valid polygon; it has Self-intersection[502000 5397000]" in faults
    assert "feature 2 must be a polygon; it is a LineString" in faults


@BOTH
@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_polygons_that_miss_their_image_are_told(folder, suffix, scene_bytes):
    redraw(folder, [shapely.box(0, 0, 1000, 1000)], ["dark"], suffix=suffix)

    (fault,) = faults_of(folder, scene_bytes)
    assert fault.startswith(
        f"labels/scene0{suffix}: polygons must overlap their image; in EPSG:32633"
    )


@BOTH
def test_polygons_without_a_system_are_told(folder, scene_bytes):
    redraw(folder, [shapely.box(501_000, 5_396_000, 503_000, 5_398_000)], ["dark"], crs=None)

    (fault,) = faults_of(folder, scene_bytes)
    assert fault.endswith("only the image has one")


def test_polygons_beside_an_image_without_a_place_are_told(folder):
    bands = np.moveaxis(draw_scene(SIZE, 0)[0], 2, 0)
    write_raster(folder / "images" / "scene0.tif", bands, nodata=0, **TILES)
    redraw(folder, [shapely.box(0, 0, 9, 9)], ["dark"])

    assert faults_of(folder, 0) == (
        "labels/scene0.gpkg: polygons need an image with a transform; it has none",
    )


def test_labels_that_are_there_twice_are_told(folder):
    polygons = [shapely.box(501_000, 5_396_000, 503_000, 5_398_000)]
    write_features(folder / "images" / "scene0.gpkg", polygons, ["dark"], CRS)

    assert faults_of(folder, 0) == ("images/scene0.gpkg: labels/scene0.tif is there",)


def test_faults_of_several_scenes_are_told_at_once(folder):
    redraw(folder, [shapely.box(0, 0, 1000, 1000)], ["dark"])
    (folder / "images" / "scene1.tif").write_bytes(b"II*\0")
    (folder / "labels" / "scene2.tif").unlink()
    write_features(folder / "labels" / "scene2.geojson", [], [], CRS)

    faults = faults_of(folder, 0)
    assert [fault.partition(":")[0] for fault in faults] == [
        "labels/scene0.gpkg",
        "images/scene1.tif",
        "labels/scene2.geojson",
    ]


def test_polygons_are_not_blamed_for_a_faulty_description(folder):
    redraw(folder, [shapely.box(501_000, 5_396_000, 503_000, 5_398_000)], ["dark"])
    (folder / "dataset.toml").write_text('name = "regions"\n')

    (fault,) = faults_of(folder, 0)
    assert fault.startswith("dataset.toml: classes must be a list")


def test_without_the_extra_that_reads_them_polygons_are_told_with_its_command(folder):
    redraw(folder, [shapely.box(501_000, 5_396_000, 503_000, 5_398_000)], ["dark"])
    code = """
import sys
from pathlib import Path
sys.modules["pyogrio"] = None
from model.data.folders import DatasetError, read_dataset
try:
    read_dataset(Path(sys.argv[1]))
except DatasetError as error:
    print(*error.faults)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )

    assert told.stdout.startswith(
        "labels/scene0.gpkg: .gpkg needs the extra `vector`: pip install "
    )
