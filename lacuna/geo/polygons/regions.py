"""Regions of a label map, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from lacuna.errors import SceneError
from lacuna.geo.polygons.rings import Rings
from lacuna.segmentation import ClassInfo

_CONFIDENCE_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions: pixels of one class that are joined by their edges.

    Attributes:
        class_ids: int64 (P,), labels.
        pixels: int64 (P,), numbers of pixels.
        areas_m2: float64 (P,), in square metres; None if unknown.
        confidences: float64 (P,), means over the pixels; None if none were given.
        rings: the polygons, in columns and rows.
    """

    class_ids: NDArray[np.int64]
    pixels: NDArray[np.int64]
    areas_m2: NDArray[np.float64] | None
    confidences: NDArray[np.float64] | None
    rings: Rings

    def __len__(self) -> int:
        return len(self.class_ids)

    def divide(self, max_points: int) -> Iterator[Regions]:
        """Divide into parts of about this many points, or of a single region."""
        _, rings, polygons = self.rings
        ends = rings[polygons[1:]]
        first = 0
        while first < len(self):
            most = rings[polygons[first]] + max_points
            last = max(first + 1, int(np.searchsorted(ends, most, "right")))
            yield self._part(slice(first, last))
            first = last

    def to_columns(self, names: Mapping[int, str]) -> dict[str, list[Any]]:
        """Return what features tell of the regions, by the names of their fields.

        Args:
            names: names of the classes.

        Raises:
            SceneError: if a label has none.
        """
        class_ids = self.class_ids.tolist()
        unknown = set(class_ids).difference(names)
        if unknown:
            raise SceneError(
                f"labels must be ids of the classes {sorted(names)}; the raster has {min(unknown)}"
            )
        columns: dict[str, list[Any]] = {
            "class": class_ids,
            "name": [names[class_id] for class_id in class_ids],
            "pixels": self.pixels.tolist(),
            "area_m2": [None] * len(self) if self.areas_m2 is None else self.areas_m2.tolist(),
        }
        if self.confidences is not None:
            columns["confidence"] = np.round(self.confidences, _CONFIDENCE_DECIMALS).tolist()
        return columns

    def make_polygons(self, coordinates: NDArray[np.float64]) -> NDArray[Any]:
        """Return shapely's polygons, object (P,), with these coordinates (N, 2) of the points."""
        polygons: NDArray[Any] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, coordinates, (self.rings.rings, self.rings.polygons)
        )
        return polygons

    def _part(self, which: slice) -> Regions:
        points, rings, polygons = self.rings
        polygons = polygons[which.start : which.stop + 1]
        rings = rings[polygons[0] : polygons[-1] + 1]
        part = Rings(points[rings[0] : rings[-1]], rings - rings[0], polygons - polygons[0])
        return Regions(
            self.class_ids[which],
            self.pixels[which],
            None if self.areas_m2 is None else self.areas_m2[which],
            None if self.confidences is None else self.confidences[which],
            part,
        )


def name_classes(classes: Sequence[ClassInfo]) -> Mapping[int, str]:
    """Return the names of classes, by their ids."""
    return {entry.id: entry.name for entry in classes}
