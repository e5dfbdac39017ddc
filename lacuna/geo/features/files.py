"""Vector files of which features are read by place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from lacuna.errors import SceneError
from lacuna.excerpts import list_names, quote
from lacuna.geo.environment import gdal

GEOJSON_SUFFIX = ".geojson"
FEATURE_SUFFIXES = (GEOJSON_SUFFIX, ".gpkg", ".fgb")
"""Suffixes of the vector files that are read."""

Box: TypeAlias = tuple[float, float, float, float]
"""Smallest x, smallest y, largest x, largest y."""


class Features(NamedTuple):
    """Features in the order of their file.

    Attributes:
        numbers: int64 (n,), by which the file knows them; of GeoJSON, their place from 1.
        values: object (n,), an attribute of each; None where a feature has none.
        geometries: object (n,), shapely geometries; None where a feature has none.
    """

    numbers: NDArray[np.int64]
    values: NDArray[Any]
    geometries: NDArray[Any]

    def take(self, places: NDArray[Any]) -> Features:
        """Return some of the features, by index or by a mask."""
        return Features(self.numbers[places], self.values[places], self.geometries[places])


class FeatureFile(ABC):
    """Open vector file of one layer. One thread at a time may use it.

    Attributes:
        name: path for messages.
        crs: coordinate reference system of its coordinates; None if it is unknown.
        bounds: box that holds all features.
    """

    name: str
    crs: CRS | None
    bounds: Box

    @abstractmethod
    def read(self, box: Box) -> Features:
        """Read the features that touch a box, and maybe some beside it.

        Raises:
            SceneError: if the file is damaged or cannot be read.
        """


def open_features(path: Path, field: str) -> FeatureFile:
    """Open a vector file.

    Args:
        path: of one of `FEATURE_SUFFIXES`. GeoJSON is read whole; of others, what is asked for.
        field: attribute that is read.

    Raises:
        SceneError: if it cannot be read, has no features, several layers, or no such attribute.
        MissingExtraError: if the extra that reads it is not installed.
    """
    # The readers import this module.
    from lacuna.geo.features.geojson import GeoJsonFile  # noqa: PLC0415
    from lacuna.geo.features.tables import FeatureTable  # noqa: PLC0415

    kind = GeoJsonFile if path.suffix.lower() == GEOJSON_SUFFIX else FeatureTable
    return kind(path, field)


def parse_crs(text: str, name: str) -> CRS:
    """Return the coordinate reference system that a file names.

    Raises:
        SceneError: if it is not known.
    """
    rule = "coordinate reference system must be known"
    try:
        with gdal(rule, name, SceneError):
            return CRS.from_user_input(text)
    except CRSError as error:
        raise SceneError(f"{rule}; {name} has {quote(text)}") from error


def check_field(field: str, known: Iterable[str], name: str) -> None:
    """Hold a file to having an attribute.

    Raises:
        SceneError: if it has not.
    """
    names = list(dict.fromkeys(known))
    if field not in names:
        raise SceneError(
            f"features must have the attribute {quote(field)}; those of {name} have "
            f"{list_names(names)}"
        )
