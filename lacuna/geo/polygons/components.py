"""Connected components of labels, by runs: parts of rows that have one label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Components(NamedTuple):
    """Components of a label map: pixels of one label that are joined by their edges.

    Attributes:
        starts: int64 (R,), the first pixel of each run, as an index of the flattened labels.
        run_of_pixel: int32 (H·W,), the run of each pixel.
        of_run: int64 (R,), the component of each run.
        total: number of components.
    """

    starts: NDArray[np.int64]
    run_of_pixel: NDArray[np.int32]
    of_run: NDArray[np.int64]
    total: int


def find_components(labels: NDArray[np.uint8]) -> Components:
    """Find the components of labels, uint8 (H, W), with at most 2³¹ pixels."""
    begins = np.ones(labels.shape, np.bool_)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=begins[:, 1:])
    run_of_pixel = np.cumsum(begins, dtype=np.int32)
    run_of_pixel -= 1
    # Two runs meet at one pixel at least where one of them begins.
    meets = (labels[1:] == labels[:-1]) & (begins[1:] | begins[:-1])
    upper = np.flatnonzero(meets)
    starts = np.flatnonzero(begins)
    roots = _connect(len(starts), run_of_pixel[upper], run_of_pixel[upper + labels.shape[1]])
    is_root = roots == np.arange(len(roots))
    numbers = np.cumsum(is_root) - 1
    return Components(starts, run_of_pixel, numbers[roots], int(is_root.sum()))


def _connect(count: int, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the smallest node that each node is connected to.

    Each round hooks every root to its smallest neighbour and then shortens all paths. The number
    of roots with neighbours falls by a constant factor every two rounds.

    Args:
        count: number of nodes.
        one: one node of each edge.
        other: the other node of each edge.
    """
    parents = np.arange(count)
    while True:
        first, second = parents[one], parents[other]
        apart = first != second
        if not apart.any():
            return parents
        one, other = first[apart], second[apart]
        np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
        while True:
            shorter = parents[parents]
            if np.array_equal(shorter, parents):
                break
            parents = shorter
