"""Cloud-Optimised GeoTIFFs of results, assembled from the pieces of windows or from arrays.

GDAL's driver COG copies a raster that is not one: tiles, overviews, and the order in which clouds
read them. It needs the whole raster, so that the pieces are shown to it as one.

GeoTIFF has no place for the names of classes that GDAL calls categories, and that QGIS shows in its
legend. They stand in a sidecar, `NAME.tif.aux.xml`, and once more in the metadata of the band.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from lacuna.distribution import VERSION
from lacuna.errors import SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.layers import Layer
from lacuna.geo.pieces import make_mosaic
from lacuna.windows.window import Window

_PREDICTORS = {1: "NO", 2: "STANDARD", 3: "FLOATING_POINT"}
_INVALID = (0, 0, 0, 0)

_SIDECARS = (".aux.xml", ".msk", ".ovr")
"""Suffixes of files beside a raster that GDAL takes for its own."""

# Every open piece holds tiles, and every thread has a heap. For 20,000 × 20,000 labels, GDAL's
# defaults took 270 MB; these take 60 MB, and half as long again on two cores.
_FRUGAL = {
    "GDAL_CACHEMAX": 12 << 20,
    "GDAL_MAX_DATASET_POOL_SIZE": 2,
    "GDAL_NUM_THREADS": 1,
    "VRT_NUM_THREADS": 1,
}


def write_cog(
    path: Path, pieces: Mapping[Window, Path], grid: Grid, layer: Layer, tags: Mapping[str, str]
) -> None:
    """Assemble pieces into a Cloud-Optimised GeoTIFF. It is there whole, or not at all.

    Equal pieces give equal bytes. Memory does not depend on the size of the raster.

    Args:
        path: file to write; one that exists is replaced, and so is what GDAL keeps beside it.
        pieces: files that `write_piece` wrote; there is no data elsewhere.
        grid: grid of the whole.
        layer: contents.
        tags: metadata.

    Raises:
        SceneError: if it cannot be written, or a piece cannot be read.
    """
    with (
        gdal("the raster must be written", str(path), SceneError),
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
        rasterio.Env(**_FRUGAL),
    ):
        mosaic, beside = Path(folder, "mosaic.vrt"), Path(folder, "raster.tif")
        with _make_template(grid, layer, tags) as template:
            mosaic.write_bytes(make_mosaic(template, pieces, layer))
        with _noticing_a_full_device(path.parent, pieces.values()):
            rasterio.shutil.copy(mosaic, beside, driver="COG", **_options(layer))
            _read_back(beside)
        move_cog(beside, path)


def move_cog(path: Path, target: Path) -> None:
    """Move a raster that `write_cog` wrote, with the names of its classes, within a file system.

    Sidecars of a raster that it replaces are removed: GDAL would take them for those of the new.

    Raises:
        OSError: if it cannot be moved.
    """
    if target.is_dir():
        raise IsADirectoryError(f"a raster must be a file; {target} is a folder")
    for suffix in _SIDECARS:
        _name_sidecar(target, suffix).unlink(missing_ok=True)
    names = _name_sidecar(path, ".aux.xml")
    if names.exists():
        names.replace(_name_sidecar(target, ".aux.xml"))
    path.replace(target)


@contextmanager
def _noticing_a_full_device(folder: Path, pieces: Iterable[Path]) -> Iterator[None]:
    """Explain a failure on a device that has little space; GDAL only says that it failed.

    Raises:
        OSError: if GDAL failed, and there is less space than the raster and its overviews need.
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError, SystemError) as failure:
        needed = 2 * sum(path.stat().st_size for path in pieces if path.exists())
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise OSError(
                f"it takes about {needed / 1e6:.1f} MB, and the device has {free / 1e6:.1f}"
            ) from None
        if isinstance(failure, SystemError):
            # rasterio raises it where GDAL failed without a message.
            raise OSError("GDAL failed without a reason") from None
        raise


def _read_back(path: Path) -> None:
    """Read every tile, as GDAL keeps errors to itself that come up as a file is closed."""
    with rasterio.open(path) as dataset:
        overviews = len(dataset.overviews(1))
    for options in [{}, *({"overview_level": level} for level in range(overviews))]:
        with rasterio.open(path, **options) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)


def _name_sidecar(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def encode_cog(planes: NDArray[Any], grid: Grid, layer: Layer, tags: Mapping[str, str]) -> bytes:
    """Encode planes as a Cloud-Optimised GeoTIFF.

    Args:
        planes: (B, H, W) of the layer's dtype.
        grid: grid of the planes.
        layer: contents.
        tags: metadata.

    Raises:
        ValueError: if the planes are not such as the layer holds.
        SceneError: if a label is not the id of a class, or GDAL cannot write the raster.
    """
    layer.check(planes)
    with (
        gdal("the raster must be encoded", "in memory", SceneError),
        _make_template(grid, layer, tags, planes) as template,
        MemoryFile() as file,
    ):
        rasterio.shutil.copy(template, file.name, driver="COG", **_options(layer))
        return bytes(file.getbuffer())


def _options(layer: Layer) -> dict[str, Any]:
    return {
        "BLOCKSIZE": layer.block,
        "COMPRESS": "DEFLATE",
        "LEVEL": layer.level,
        "PREDICTOR": _PREDICTORS[layer.predictor],
        "RESAMPLING": layer.resampling.upper(),
        "SPARSE_OK": "TRUE",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": 1,
    }


@contextmanager
def _make_template(
    grid: Grid, layer: Layer, tags: Mapping[str, str], planes: NDArray[Any] | None = None
) -> Iterator[str]:
    """Yield the name of a raster in memory, with everything but data unless planes are given."""
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
                names = {f"CLASS_{entry.id}": entry.name for entry in layer.classes}
                dataset.update_tags(1, **names)
            if planes is not None:
                dataset.write(planes)
        yield memory.name
