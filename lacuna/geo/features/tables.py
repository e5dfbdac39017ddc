"""GeoPackage and FlatGeobuf, of which pyogrio reads features by their spatial index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from lacuna.distribution import describe_extra
from lacuna.errors import MissingExtraError, SceneError
from lacuna.excerpts import list_names
from lacuna.geo.environment import find_reason
from lacuna.geo.features.files import Box, FeatureFile, Features, check_field, parse_crs


class FeatureTable(FeatureFile):
    """Features of a file with a spatial index, which stay in the file.

    Features come in the order of their numbers. FlatGeobuf numbers them by place, whatever the
    order was in which they were written.

    Args:
        path: of the file.
        field: attribute that is read.

    Raises:
        SceneError: if it cannot be read, has no features, several layers, or no such attribute.
        MissingExtraError: if pyogrio is not installed.
    """

    def __init__(self, path: Path, field: str) -> None:
        self.name, self._path, self._field = str(path), path, field
        self._pyogrio = _import_pyogrio(path)
        with _failures(self.name):
            layers = [str(name) for name, kind in self._pyogrio.list_layers(path) if kind]
            if len(layers) != 1:
                raise SceneError(
                    f"polygons must be one layer; {path} has {len(layers)}: {list_names(layers)}"
                )
            facts = self._pyogrio.read_info(
                path, layer=layers[0], force_feature_count=True, force_total_bounds=True
            )
        self._layer = layers[0]
        if not facts["features"]:
            raise SceneError(f"polygons must be given; {path} has no features")
        check_field(field, map(str, facts["fields"]), self.name)
        self.crs = None if facts["crs"] is None else parse_crs(facts["crs"], self.name)
        self.bounds = facts["total_bounds"]

    def read(self, box: Box) -> Features:
        """Read the features that touch a box."""
        with _failures(self.name):
            _, numbers, shapes, (values,) = self._pyogrio.raw.read(
                self._path,
                layer=self._layer,
                columns=[self._field],
                bbox=box,
                return_fids=True,
                force_2d=True,
            )
            features = Features(numbers, values.astype(object), shapely.from_wkb(shapes))
        return features.take(np.argsort(numbers))


def _import_pyogrio(path: Path) -> Any:
    try:
        import pyogrio  # noqa: PLC0415 (in an extra of its own)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path.suffix} needs the extra `vector`: {describe_extra('vector')}"
        ) from error
    return pyogrio


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """Translate errors of pyogrio and shapely, which are all of these."""
    try:
        yield
    except (RuntimeError, ValueError, OSError, shapely.GEOSException) as error:
        raise SceneError(
            f"polygons must be whole and undamaged; {name}: {find_reason(error, name)}"
        ) from error
