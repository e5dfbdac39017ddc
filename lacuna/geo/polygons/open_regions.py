"""Regions that reach the last row so far, and may go on below it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lacuna.sample import INVALID_LABEL


class OpenRegion:
    """Region that is not complete yet.

    Args:
        class_id: its label.

    Attributes:
        class_id: its label.
        sums: number of pixels, and the sums of what is measured.
        pieces: vertices, a piece a strip and arm, int64.
    """

    __slots__ = ("_absorber", "class_id", "pieces", "sums")

    def __init__(self, class_id: int) -> None:
        self.class_id = class_id
        self.sums: list[int] = []
        self.pieces: list[NDArray[np.int64]] = []
        self._absorber: OpenRegion | None = None

    def find(self) -> OpenRegion:
        """Return the region that this one has become part of; itself if of none."""
        found = self
        while found._absorber is not None:
            found = found._absorber
        return found

    def unite(self, other: OpenRegion) -> OpenRegion:
        """Unite two regions that are part of no other, and return the whole."""
        if self is other:
            return self
        # The shorter list is moved, so that many unions stay cheap.
        if len(self.pieces) < len(other.pieces):
            return other.unite(self)
        self.add(other.sums, other.pieces)
        other._absorber, other.pieces = self, []
        return self

    def add(self, sums: Sequence[int], pieces: Iterable[NDArray[np.int64]]) -> None:
        """Add pixels, by their sums and the vertices of their region."""
        before = self.sums or [0] * len(sums)
        self.sums = [a + b for a, b in zip(before, sums, strict=True)]
        self.pieces += pieces


class Border:
    """The open regions, by the runs of the last row.

    The first row is below a row without regions.
    """

    def __init__(self) -> None:
        self._of_run: list[OpenRegion | None] = [None]

    def join(
        self, first: Sequence[int], last: Sequence[int], classes: NDArray[np.int64]
    ) -> tuple[dict[int, OpenRegion], list[OpenRegion]]:
        """Go on to the last row of another strip.

        Args:
            first: the component of each run of the row that was the last one so far.
            last: the component of each run of the strip's last row.
            classes: int64, the label of each component, 255 = invalid.

        Returns:
            The open region of each component that touches one of the two rows, and the regions
            that are complete with these components.
        """
        joined: dict[int, OpenRegion] = {}
        for region, component in zip(self._of_run, first, strict=True):
            if region is not None:
                arm = joined.get(component, region)
                joined[component] = arm.find().unite(region.find())
        for component in set(last).difference(joined):
            if classes[component] != INVALID_LABEL:
                joined[component] = OpenRegion(int(classes[component]))
        joined = {component: region.find() for component, region in joined.items()}
        self._of_run = [joined.get(component) for component in last]
        open_ones = set(self._of_run)
        return joined, [one for one in dict.fromkeys(joined.values()) if one not in open_ones]
