"""Cloud-Optimised GeoTIFFs of results, assembled from the pieces of windows.

Pieces are small GeoTIFFs. A VRT puts them together, without data where there is none, and GDAL's
driver COG copies it: tiles, overviews, and the order in which clouds read them.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from lacuna.distribution import VERSION
from lacuna.errors import SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.layers import Layer
from lacuna.windows.tiling import Window

_BLOCK = 512
_INVALID = (0, 0, 0, 0)


def write_piece(path: Path, planes: NDArray[Any], layer: Layer) -> None:
    """Write the planes of a window. The file is there whole, or not at all.

    Args:
        path: file to write.
        planes: (B, H, W) of the layer's dtype.
        layer: contents.

    Raises:
        SceneError: if it cannot be written.
    """
    bands, height, width = planes.shape
    beside = path.with_suffix(".new")
    with gdal("a window must be written", str(path), SceneError):
        with rasterio.open(
            beside,
            "w",
            driver="GTiff",
            count=bands,
            height=height,
            width=width,
            dtype=layer.dtype,
            tiled=True,
            blockxsize=_BLOCK,
            blockysize=_BLOCK,
            compress="zstd",
            zstd_level=1,
        ) as file:
            file.write(planes)
        beside.replace(path)


def write_cog(
    path: Path, pieces: Mapping[Window, Path], grid: Grid, layer: Layer, tags: Mapping[str, str]
) -> None:
    """Assemble pieces into a Cloud-Optimised GeoTIFF. It is there whole, or not at all.

    Args:
        path: file to write.
        pieces: files that `write_piece` wrote; there is no data elsewhere.
        grid: grid of the whole.
        layer: contents.
        tags: metadata.

    Raises:
        SceneError: if it cannot be written, or a piece cannot be read.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    mosaic = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.vrt")
    try:
        with gdal("the raster must be written", str(path), SceneError):
            with _make_template(grid, layer, tags) as template:
                mosaic.write_bytes(_make_mosaic(template, pieces, layer))
            rasterio.shutil.copy(mosaic, beside, driver="COG", **_options(layer))
            if layer.classes:
                _name_sidecar(beside).replace(_name_sidecar(path))
            beside.replace(path)
    finally:
        for file in (beside, _name_sidecar(beside), mosaic):
            file.unlink(missing_ok=True)


def move_cog(path: Path, target: Path) -> None:
    """Move a raster that `write_cog` wrote, with the names of its classes, within a file system.

    Raises:
        OSError: if it cannot be moved.
    """
    sidecar = _name_sidecar(path)
    if sidecar.exists():
        sidecar.replace(_name_sidecar(target))
    path.replace(target)


def _name_sidecar(path: Path) -> Path:
    """Return the file in which GDAL keeps what GeoTIFF has no place for: names of classes."""
    return path.with_name(f"{path.name}.aux.xml")


def encode_cog(planes: NDArray[Any], grid: Grid, layer: Layer, tags: Mapping[str, str]) -> bytes:
    """Encode planes as a Cloud-Optimised GeoTIFF.

    Args:
        planes: (B, H, W) of the layer's dtype.
        grid: grid of the planes.
        layer: contents.
        tags: metadata.

    Raises:
        SceneError: if GDAL cannot write it.
    """
    with gdal("the raster must be encoded", "in memory", SceneError), MemoryFile() as file:
        with (
            _make_template(grid, layer, tags) as template,
            rasterio.open(template, "r+") as dataset,
        ):
            dataset.write(planes)
            dataset.close()
            rasterio.shutil.copy(template, file.name, driver="COG", **_options(layer))
        return bytes(file.getbuffer())


def _options(layer: Layer) -> dict[str, Any]:
    return {
        "BLOCKSIZE": _BLOCK,
        "COMPRESS": "DEFLATE",
        "LEVEL": 6,
        "PREDICTOR": {1: "NO", 2: "STANDARD", 3: "FLOATING_POINT"}[layer.predictor],
        "RESAMPLING": layer.resampling.upper(),
        "SPARSE_OK": "TRUE",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",
    }


@contextmanager
def _make_template(grid: Grid, layer: Layer, tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the name of a raster in memory that has everything but data."""
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=len(layer.band_names),
            dtype=layer.dtype,
            nodata=layer.nodata,
            tiled=True,
            SPARSE_OK=True,
            BIGTIFF="IF_SAFER",
            **grid.to_profile(),
        ) as dataset:
            dataset.update_tags(TIFFTAG_SOFTWARE=f"lacuna {VERSION}", **tags)
            dataset.descriptions = layer.band_names
            if layer.classes:
                dataset.colorinterp = [ColorInterp.palette]
                colors = {entry.id: (*entry.rgb, 255) for entry in layer.classes}
                dataset.write_colormap(1, {**colors, int(layer.nodata): _INVALID})
        yield memory.name


def _make_mosaic(template: str, pieces: Mapping[Window, Path], layer: Layer) -> bytes:
    """Make a VRT of pieces from that of the template."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(template, memory.name, driver="VRT")
        root = ET.fromstring(bytes(memory.getbuffer()))  # noqa: S314 (GDAL has just written it)
    for number, band in enumerate(root.iter("VRTRasterBand"), 1):
        for source in band.findall("SimpleSource") + band.findall("ComplexSource"):
            band.remove(source)
        if layer.classes:
            names = ET.SubElement(band, "CategoryNames")
            for entry in layer.classes:
                ET.SubElement(names, "Category").text = entry.name
        for window, path in pieces.items():
            band.append(_make_source(window, path, number, layer))
    return ET.tostring(root)


def _make_source(window: Window, path: Path, number: int, layer: Layer) -> ET.Element:
    source = ET.Element("SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(path.absolute())
    ET.SubElement(source, "SourceBand").text = str(number)
    # With its properties, a piece is not opened before it is read.
    ET.SubElement(
        source,
        "SourceProperties",
        RasterXSize=str(window.width),
        RasterYSize=str(window.height),
        DataType={"uint8": "Byte", "float32": "Float32"}[layer.dtype],
        BlockXSize=str(_BLOCK),
        BlockYSize=str(_BLOCK),
    )
    size = {"xSize": str(window.width), "ySize": str(window.height)}
    ET.SubElement(source, "SrcRect", xOff="0", yOff="0", **size)
    ET.SubElement(source, "DstRect", xOff=str(window.left), yOff=str(window.top), **size)
    return source
