"""Regions of a label map, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from lacuna.geo.polygons.rings import Rings


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions: pixels of one class that are joined by their edges.

    Attributes:
        class_ids: int64 (P,), labels.
        pixels: int64 (P,), numbers of pixels.
        areas_m2: float64 (P,), in square metres, NaN where unknown; None if there is no coordinate
            reference system.
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
        points, rings, polygons = self.rings
        ends = rings[polygons[1:]]
        first = 0
        while first < len(self):
            most = rings[polygons[first]] + max_points
            last = max(first + 1, int(np.searchsorted(ends, most, "right")))
            yield self._part(slice(first, last))
            first = last

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
