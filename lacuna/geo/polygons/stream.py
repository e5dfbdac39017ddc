"""Regions of a label map of any height, from strips of rows.

The rows go by in small strips. Each strip is seen with the last row of the one before, so that
every line between two rows is seen once. Of a region that goes on below, only the vertices and the
sums are kept. Sums are of integers, so that they do not depend on the strips.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import NotGeoreferencedError, SceneError
from lacuna.geo.grid import Grid
from lacuna.geo.polygons.open_regions import Border, OpenRegion
from lacuna.geo.polygons.pixel_areas import WholeAreas
from lacuna.geo.polygons.regions import Regions
from lacuna.geo.polygons.rings import trace_rings
from lacuna.geo.polygons.strips import Strip, make_strip
from lacuna.geo.polygons.vertices import MAX_WIDTH, rows_of
from lacuna.sample import INVALID_LABEL

_STRIP_PIXELS = 1 << 20
_CONFIDENCE_STEPS = 1 << 20


class RegionStream:
    """Finder of the regions of a label map, which is fed from top to bottom.

    Regions come in the order of their last rows, whatever the heights of the strips.

    Args:
        grid: size and place of the label map.
        min_area: area below which regions are left out: in square metres, or in pixels where
            areas are unknown.
        mirror: False for outlines that are clockwise as the image is seen; True for the opposite.

    Raises:
        ValueError: if the grid has more than 2²⁴ − 1 columns.
    """

    def __init__(self, grid: Grid, *, min_area: float = 0, mirror: bool = False) -> None:
        if grid.width > MAX_WIDTH:
            raise ValueError(
                f"label map must have at most {MAX_WIDTH} columns; it has {grid.width}"
            )
        self._min_area, self._mirror = min_area, mirror
        try:
            self._areas: WholeAreas | None = WholeAreas(grid)
        except NotGeoreferencedError:
            self._areas = None
        self._has_confidence = False
        self._next_row = 0
        self._last_row = np.full(grid.width, INVALID_LABEL, np.uint8)
        self._border = Border()

    def feed(
        self, labels: NDArray[np.uint8], confidence: NDArray[np.floating[Any]] | None = None
    ) -> Iterator[Regions]:
        """Add rows, and yield the regions that are complete.

        Args:
            labels: uint8 (h, W), 255 = invalid.
            confidence: float (h, W), 0 to 1 where labels are valid; for all rows or for none.

        Raises:
            SceneError: if confidence is not finite where labels are valid.
        """
        self._has_confidence |= confidence is not None
        step = max(1, _STRIP_PIXELS // labels.shape[1])
        for top in range(0, len(labels), step):
            rows = labels[top : top + step]
            areas = confidences = np.zeros(rows.shape)
            if self._areas is not None:
                areas = self._areas.of_rows(self._next_row, len(rows))
            if confidence is not None:
                known = np.where(rows == INVALID_LABEL, 0, confidence[top : top + step])
                if not np.isfinite(known).all():
                    raise SceneError("confidence must be a number wherever there is a label")
                confidences = np.rint(known * float(_CONFIDENCE_STEPS))
            yield from self._advance(rows, areas, confidences)

    def finish(self) -> Iterator[Regions]:
        """Yield the regions that reach the last row."""
        below = np.full((1, len(self._last_row)), INVALID_LABEL, np.uint8)
        nothing = np.zeros(below.shape)
        yield from self._advance(below, nothing, nothing)

    def _advance(
        self, labels: NDArray[np.uint8], *measures: NDArray[np.float64]
    ) -> Iterator[Regions]:
        strip = make_strip(self._last_row, labels, measures, self._next_row)
        self._next_row, self._last_row = self._next_row + len(labels), labels[-1].copy()
        joined, complete = self._border.join(strip.above, strip.last, strip.classes)
        is_inside = strip.classes != INVALID_LABEL
        is_inside[list(joined)] = False
        _add_components(strip, joined)
        found = self._keep_large(_collect(strip, is_inside, complete))
        if len(found.classes):
            yield self._finish_regions(found)

    def _keep_large(self, found: _Found) -> _Found:
        if self._min_area <= 0:
            return found
        sizes = found.sums[0]
        if self._areas is not None:
            sizes = found.sums[1] * self._areas.unit_m2
        return found.choose(np.flatnonzero(~(sizes < self._min_area)))

    def _finish_regions(self, found: _Found) -> Regions:
        found = found.sort()
        pixels, areas, confidences = found.sums
        return Regions(
            found.classes,
            pixels.astype(np.int64),
            None if self._areas is None else areas * self._areas.unit_m2,
            confidences / _CONFIDENCE_STEPS / pixels if self._has_confidence else None,
            trace_rings(found.vertices, found.owners, len(found.classes), mirror=self._mirror),
        )


class _Found(NamedTuple):
    """Complete regions: classes (P,), sums (3, P), vertices (N,), and the region of each."""

    classes: NDArray[np.int64]
    sums: NDArray[np.float64]
    vertices: NDArray[np.int64]
    owners: NDArray[np.int32]

    def choose(self, which: NDArray[np.int64]) -> _Found:
        """Choose regions, in this order."""
        numbers = np.full(len(self.classes), -1, np.int32)
        numbers[which] = np.arange(len(which))
        owners = numbers[self.owners]
        chosen = owners >= 0
        return _Found(
            self.classes[which], self.sums[:, which], self.vertices[chosen], owners[chosen]
        )

    def sort(self) -> _Found:
        """Sort vertices, and regions by their last rows and then by their first vertices."""
        order = np.argsort(self.vertices)
        vertices, owners = self.vertices[order], self.owners[order]
        grouped = vertices[np.argsort(owners, kind="stable")]
        ends = np.cumsum(np.bincount(owners))
        firsts = grouped[np.concatenate([[0], ends[:-1]])]
        by_place = np.lexsort((firsts, rows_of(grouped[ends - 1])))
        return self._replace(vertices=vertices, owners=owners).choose(by_place)


def _collect(strip: Strip, is_inside: NDArray[np.bool_], complete: list[OpenRegion]) -> _Found:
    """Collect the components inside a strip, and the open regions that are complete with it."""
    inside = np.flatnonzero(is_inside)
    numbers = np.cumsum(is_inside, dtype=np.int32) - 1
    chosen = is_inside[strip.owners]
    pieces = [piece for region in complete for piece in region.pieces]
    sizes = [sum(map(len, region.pieces)) for region in complete]
    later = np.repeat(np.arange(len(inside), len(inside) + len(complete), dtype=np.int32), sizes)
    ended = np.array([region.sums for region in complete], np.float64).reshape(-1, 3)
    return _Found(
        np.append(strip.classes[inside], [region.class_id for region in complete]).astype(int),
        np.concatenate([strip.sums[:, inside], ended.T], axis=1),
        np.concatenate([strip.vertices[chosen], *pieces]),
        np.concatenate([numbers[strip.owners[chosen]], later]),
    )


def _add_components(strip: Strip, joined: dict[int, OpenRegion]) -> None:
    """Add to open regions their components in a strip."""
    components = np.array(sorted(joined), np.int64)
    is_joined = np.zeros(len(strip.classes), np.bool_)
    is_joined[components] = True
    (chosen,) = np.nonzero(is_joined[strip.owners])
    chosen = chosen[np.argsort(strip.owners[chosen], kind="stable")]
    vertices, owners = strip.vertices[chosen], strip.owners[chosen]
    bounds = np.searchsorted(owners, np.append(components, len(strip.classes)))
    sums = strip.sums[:, components].T.tolist()
    for number, component in enumerate(components.tolist()):
        # A copy, or the vertices of the whole strip would be kept with it.
        piece = vertices[bounds[number] : bounds[number + 1]].copy()
        joined[component].add([int(total) for total in sums[number]], [piece])
