"""Regions as tables of Arrow: GeoPackage and FlatGeobuf by GDAL, and GeoParquet.

GDAL and Parquet take the parts of a table one by one, so that it is never in memory whole.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
import shapely
from pyarrow import parquet
from rasterio.crs import CRS

from lacuna.geo.polygons.placement import Placement
from lacuna.geo.polygons.regions import Regions

_MAX_POINTS = 1 << 18
_ROW_GROUP = 1 << 16
_ROW_GROUP_BYTES = 16 << 20
_GEOMETRY = "geometry"
_FIELDS = {
    "class": pa.int32(),
    "name": pa.string(),
    "pixels": pa.int64(),
    "area_m2": pa.float64(),
    "confidence": pa.float64(),
}


@cache
def has_spatial_index() -> bool:
    """Return whether GDAL gives a GeoPackage a spatial index, which not every SQLite has."""
    file = BytesIO()
    schema = make_schema(has_confidence=False)
    row = {name: [None] for name in schema.names} | {_GEOMETRY: [shapely.to_wkb(shapely.Point())]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing CRS, and of a file without a suffix
        pyogrio.write_arrow(
            pa.Table.from_pydict(row, schema),
            file,
            layer="index",
            driver="GPKG",
            geometry_name=_GEOMETRY,
            geometry_type="Point",
        )
        info = pyogrio.read_info(file.getvalue())
    return bool(info["capabilities"]["fast_spatial_filter"])


def make_schema(*, has_confidence: bool) -> pa.Schema:
    """Return the schema of a table of regions."""
    fields = [pa.field(name, kind) for name, kind in _FIELDS.items()]
    geometry = pa.field(_GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
    return pa.schema([*(fields if has_confidence else fields[:-1]), geometry])


def make_batches(
    regions: Iterable[Regions],
    placement: Placement,
    names: Mapping[int, str],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of regions, in batches.

    Args:
        regions: the regions.
        placement: way to coordinates.
        names: names of the classes.
        schema: of `make_schema`.
    """
    for batch in regions:
        for part in batch.divide(_MAX_POINTS):
            columns = part.to_columns(names)
            polygons = part.make_polygons(placement.place(part.rings.points))
            columns[_GEOMETRY] = shapely.to_wkb(polygons, byte_order=1).tolist()
            yield pa.RecordBatch.from_pydict(columns, schema)


def write_by_gdal(
    path: Path,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    crs: CRS | None,
    *,
    driver: str,
) -> None:
    """Write a table of regions with a driver of GDAL.

    Args:
        path: file to write.
        batches: its rows.
        schema: of the rows.
        crs: coordinate reference system of the coordinates; None if it is unknown.
        driver: name of the driver.

    Raises:
        OSError: if it cannot be written.
    """
    watched = _Watched(batches)
    table = pa.RecordBatchReader.from_batches(schema, watched)
    try:
        with warnings.catch_warnings():
            # Some rasters have no coordinate reference system.
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            pyogrio.write_arrow(
                table,
                path,
                layer=path.stem,
                driver=driver,
                geometry_name=_GEOMETRY,
                geometry_type="Polygon",
                crs=None if crs is None else crs.to_wkt(),
            )
    except RuntimeError as error:
        if watched.failure is not None:
            raise watched.failure from None
        raise OSError(str(error)) from error
    _check_whole(path, watched.rows)


def _check_whole(path: Path, rows: int) -> None:
    # Without space for its index, GDAL leaves a GeoPackage without one and reports no error.
    info = pyogrio.read_info(path)
    is_indexed = info["capabilities"]["fast_spatial_filter"]
    if rows and not (is_indexed and info["features"] == rows):
        raise OSError("the file or its spatial index is incomplete")


class _Watched:
    """Iterator that counts rows and keeps its failure, of which GDAL only says that it is one."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self.failure: BaseException | None = None
        self.rows = 0

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = next(self._batches)
        except StopIteration:
            raise
        except BaseException as failure:
            self.failure = failure
            raise
        self.rows += len(batch)
        return batch


def write_parquet(
    path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema, crs: CRS | None
) -> None:
    """Write a table of regions as GeoParquet 1.1.

    Args:
        path: file to write.
        batches: its rows.
        schema: of the rows.
        crs: coordinate reference system of the coordinates; None if it is unknown.

    Raises:
        OSError: if it cannot be written.
    """
    schema = schema.with_metadata({"geo": json.dumps(_describe(crs))})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _group(batches):
            writer.write_table(group.cast(schema), row_group_size=len(group))


def _group(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield batches together, as row groups of a good size."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        is_large = sum(part.nbytes for part in waiting) >= _ROW_GROUP_BYTES
        if is_large or sum(map(len, waiting)) >= _ROW_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _describe(crs: CRS | None) -> dict[str, Any]:
    """Return the metadata of GeoParquet."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else crs.to_dict(projjson=True),
        "orientation": "counterclockwise",
        "edges": "planar",
    }
    return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}
