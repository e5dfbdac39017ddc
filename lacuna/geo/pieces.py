"""Pieces: windows of a raster that is still in the making, each a small GeoTIFF."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from lacuna.errors import SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.layers import Layer
from lacuna.windows.window import Window

_VRT_TYPES = {"uint8": "Byte", "float32": "Float32"}


def write_piece(path: Path, planes: NDArray[Any], layer: Layer) -> None:
    """Write the planes of a window. The file is there whole, or not at all.

    Args:
        path: file to write.
        planes: (B, H, W) of the layer's dtype.
        layer: contents.

    Raises:
        ValueError: if the planes are not such as the layer holds.
        SceneError: if a label is not the id of a class, or the file cannot be written.
    """
    layer.check(planes)
    bands, height, width = planes.shape
    beside = path.with_suffix(".new")
    # GDAL encodes in memory, because it keeps errors to itself that come up as a file is closed.
    with gdal("a window must be written", str(path), SceneError), MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=bands,
            height=height,
            width=width,
            dtype=layer.dtype,
            tiled=True,
            blockxsize=layer.block,
            blockysize=layer.block,
            interleave="band",
            compress="zstd",
            zstd_level=1,
            predictor=layer.predictor,
        ) as file:
            file.write(planes)
        try:
            with beside.open("wb") as written:
                written.write(memory.getbuffer())
                written.flush()
                os.fsync(written.fileno())  # a power cut must not leave an empty piece
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def make_mosaic(template: str, pieces: Mapping[Window, Path], layer: Layer) -> bytes:
    """Make a VRT, GDAL's virtual raster, that shows pieces as one raster.

    Args:
        template: name of a raster that has everything but data.
        pieces: files that `write_piece` wrote; there is no data elsewhere.
        layer: contents.
    """
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
        DataType=_VRT_TYPES[layer.dtype],
        BlockXSize=str(layer.block),
        BlockYSize=str(layer.block),
    )
    size = {"xSize": str(window.width), "ySize": str(window.height)}
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
    ET.SubElement(source, "DstRect", {"xOff": str(window.left), "yOff": str(window.top)} | size)
    return source
