"""Files of polygons, from label rasters of any size."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from lacuna.distribution import describe_extra
from lacuna.errors import MissingExtraError, SceneError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.polygons.geojson import write_features
from lacuna.geo.polygons.longitudes import LonLatPlacement
from lacuna.geo.polygons.placement import GridPlacement, is_mirrored
from lacuna.geo.polygons.regions import Regions, name_classes
from lacuna.geo.polygons.stream import RegionStream
from lacuna.segmentation import ClassInfo

_GEOJSON = ".geojson"
_GEOPACKAGE = ".gpkg"
_PARQUET = ".parquet"
_DRIVERS: Mapping[str, str] = MappingProxyType({_GEOPACKAGE: "GPKG", ".fgb": "FlatGeobuf"})
POLYGON_SUFFIXES = (_GEOPACKAGE, _GEOJSON, _PARQUET, ".fgb")
"""Suffixes of files of polygons."""

_READ_PIXELS = 1 << 22
_RULE = "polygons need a raster that is whole and undamaged"


def check_polygons(output: Path, grid: Grid) -> None:
    """Check that the regions of a raster can be written as polygons, before there are any.

    Args:
        output: file of polygons.
        grid: size and place of the raster.

    Raises:
        SceneError: if the suffix is unknown.
        NotGeoreferencedError: if the raster's place is not known as the format needs it.
        MissingExtraError: if the format needs an extra that is not installed.
    """
    load_format(output)
    _make_placement(output.suffix.lower(), grid)


def load_format(output: Path) -> None:
    """Import what writes a file of polygons.

    Before TensorFlow is imported: its SQLite would take the place of that of GDAL, and has no
    spatial index.

    Args:
        output: file of polygons.

    Raises:
        SceneError: if the suffix is unknown, or if it is too late for a GeoPackage.
        MissingExtraError: if the format needs an extra that is not installed.
    """
    suffix = output.suffix.lower()
    if suffix not in POLYGON_SUFFIXES:
        raise SceneError(
            f"polygons must be saved as {', '.join(POLYGON_SUFFIXES)}; it is {output.name!r}"
        )
    if suffix != _GEOJSON:
        try:
            from lacuna.geo.polygons import tables  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"polygons as {suffix} need the extra `vector`: {describe_extra('vector')}"
            ) from error
        if suffix == _GEOPACKAGE and not tables.has_spatial_index():
            raise SceneError(
                "a .gpkg needs pyogrio to be imported before tensorflow, whose SQLite has no "
                "spatial index; in this process it was not (other formats need none)"
            )


def load_formats() -> None:
    """Import what writes files of polygons, if it is installed; see `load_format`."""
    with suppress(MissingExtraError):
        load_format(Path(f"any{_PARQUET}"))


def write_polygons(
    labels: Path,
    output: Path,
    *,
    classes: Sequence[ClassInfo],
    confidence: Path | None = None,
    min_area: float = 0,
) -> None:
    """Write a polygon for each region of a label raster. The file is there whole, or not at all.

    A region is pixels of one class that are joined by their edges. Polygons are in the raster's
    coordinate reference system, or in that of GeoJSON.

    Args:
        labels: raster of class ids, uint8, 255 = invalid.
        output: file with one of `POLYGON_SUFFIXES`; an existing one is replaced.
        classes: the classes that the labels name.
        confidence: raster of the same size, 0 to 1, whose means the features have; None for none.
        min_area: area below which regions are left out: square metres, or pixels where areas are
            unknown.

    Raises:
        SceneError: if a raster cannot be read, or the polygons cannot be written.
        NotGeoreferencedError: if the raster's place is not known as the format needs it.
        MissingExtraError: if the format needs an extra that is not installed.
    """
    with ExitStack() as stack:
        source = stack.enter_context(_open(labels))
        beside = None if confidence is None else stack.enter_context(_open(confidence))
        if beside is not None and beside.shape != source.shape:
            raise SceneError(
                f"confidence must be of the size of the labels, {source.height}×{source.width}; "
                f"it is {beside.height}×{beside.width}"
            )
        grid = Grid.of(source)
        check_polygons(output, grid)
        placement = _make_placement(output.suffix.lower(), grid)
        stream = RegionStream(grid, min_area=min_area, mirror=is_mirrored(placement, grid))
        regions = _read_regions(source, beside, stream)
        with _replace_atomically(output) as path:
            _write(path, regions, placement, name_classes(classes), grid, beside is not None)


def _write(
    path: Path,
    regions: Iterator[Regions],
    placement: GridPlacement | LonLatPlacement,
    names: Mapping[int, str],
    grid: Grid,
    has_confidence: bool,
) -> None:
    if isinstance(placement, LonLatPlacement):
        with path.open("wb") as file:
            file.writelines(write_features(regions, placement, names))
        return
    from lacuna.geo.polygons import tables  # noqa: PLC0415

    schema = tables.make_schema(has_confidence=has_confidence)
    crs = None if grid.transform is None else grid.crs
    batches = tables.make_batches(regions, placement, names, schema)
    suffix = path.suffix.lower()
    if suffix == _PARQUET:
        tables.write_parquet(path, batches, schema, crs)
    else:
        tables.write_by_gdal(path, batches, schema, crs, driver=_DRIVERS[suffix])


def _make_placement(suffix: str, grid: Grid) -> GridPlacement | LonLatPlacement:
    return LonLatPlacement(grid) if suffix == _GEOJSON else GridPlacement(grid)


def _read_regions(source: Any, confidence: Any, stream: RegionStream) -> Iterator[Regions]:
    """Read labels and confidence in whole blocks, and yield their regions."""
    height, width = source.shape
    block = max(dataset.block_shapes[0][0] for dataset in (source, confidence) if dataset)
    step = block * max(1, _READ_PIXELS // (block * width))
    for top in range(0, height, step):
        window = Window(0, top, width, min(step, height - top))
        yield from stream.feed(
            _read(source, window), None if confidence is None else _read(confidence, window)
        )
    yield from stream.finish()


def _open(path: Path) -> Any:
    with gdal(_RULE, str(path), SceneError):
        return rasterio.open(path)


def _read(dataset: Any, window: Window) -> NDArray[Any]:
    with gdal(_RULE, dataset.name, SceneError):
        band: NDArray[Any] = dataset.read(1, window=window)
        return band


@contextmanager
def _replace_atomically(output: Path) -> Iterator[Path]:
    """Yield a file to write, which takes its place when all is well.

    It has a folder of its own, because GDAL writes further files beside it.

    Raises:
        SceneError: if it cannot be written.
    """
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        yield folder / output.name
        (folder / output.name).replace(output)
    except OSError as error:
        reason = error.strerror or error
        raise SceneError(f"polygons must be written to {output}: {reason}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
