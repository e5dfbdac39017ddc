"""One strip of a label map: its components with their sums and vertices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.geo.polygons.components import find_components
from lacuna.geo.polygons.vertices import find_vertices
from lacuna.sample import INVALID_LABEL


class Strip(NamedTuple):
    """Components of a strip and of the row above it.

    Attributes:
        classes: int64 (C,), the label of each component.
        sums: float64 (1 + M, C), the number of pixels of each, and the sums of the measures, in
            the strip's own rows.
        above: the component of each run of the row above.
        last: the component of each run of the last row.
        vertices: int64 (N,), vertices on the lines between these rows.
        owners: int64 (N,), the component of each vertex.
    """

    classes: NDArray[np.int64]
    sums: NDArray[np.float64]
    above: Sequence[int]
    last: Sequence[int]
    vertices: NDArray[np.int64]
    owners: NDArray[np.int64]


def make_strip(
    above: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    measures: Sequence[NDArray[np.float64]],
    first_row: int,
) -> Strip:
    """Find what a strip holds.

    Args:
        above: uint8 (W,), the labels of the row above.
        labels: uint8 (h, W), 255 = invalid.
        measures: arrays float64 (h, W) of what is summed over pixels.
        first_row: number of the strip's first row.
    """
    framed = _frame(np.vstack([above[None], labels]), INVALID_LABEL)
    found = find_components(framed)
    second_row, last_row = framed.shape[1], framed.size - framed.shape[1]
    lengths = np.diff(found.starts, append=framed.size)
    lengths[found.starts < second_row] = 0
    rows = [lengths]
    for measure in measures:
        padded = np.zeros(framed.shape)
        padded[1:, 1:-1] = measure
        rows.append(np.add.reduceat(padded.ravel(), found.starts))
    sums = np.array([np.bincount(found.of_run, row, found.total) for row in rows])
    classes = np.empty(found.total, np.int64)
    classes[found.of_run] = framed.ravel()[found.starts]
    second, last = np.searchsorted(found.starts, [second_row, last_row])
    vertices, pixels = find_vertices(framed, first_row)
    return Strip(
        classes,
        sums,
        found.of_run[:second].tolist(),
        found.of_run[last:].tolist(),
        vertices,
        found.of_run[found.run_of_pixel[pixels]],
    )


def _frame(labels: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    return np.pad(labels, ((0, 0), (1, 1)), constant_values=fill)
