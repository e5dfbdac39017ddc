"""Which part of a sample is worth computing, and how the parts make the whole again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.core.sample import INVALID_LABEL, Sample, Segmentation


class Window(NamedTuple):
    """A rectangle of an image, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


def find_valid_box(mask: NDArray[np.bool_], total_stride: int) -> Window | None:
    """Find the smallest window that holds every valid pixel and starts on the model's grid.

    Cutting there changes no answer: what is cut off is invalid, the model treats its input's border
    as invalid too, and every cell of its coarsest level stays where it was.

    Args:
        mask: bool (H, W), True = valid.
        total_stride: of the model; the window's first row and column are multiples of it.

    Returns:
        The window, or None where nothing is valid.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    top = int(rows[0]) // total_stride * total_stride
    left = int(columns[0]) // total_stride * total_stride
    return Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def plan_windows(sample: Sample, total_stride: int) -> list[Window]:
    """Choose the windows of a sample that the model must see.

    Args:
        sample: the image and its mask.
        total_stride: of the model.

    Returns:
        Windows that together hold every valid pixel; none where nothing is valid.
    """
    box = find_valid_box(sample.mask, total_stride)
    return [] if box is None else [box]


def cut(sample: Sample, window: Window) -> Sample:
    """Take a window of a sample, as views."""
    return Sample(sample.image[window.slices], sample.mask[window.slices])


def stitch(
    size: tuple[int, int],
    parts: Iterable[tuple[Window, Segmentation]],
    classes: int | None,
) -> Segmentation:
    """Put the answers for windows together.

    Args:
        size: height and width of the whole.
        parts: each window with its answer, of the window's size.
        classes: number of classes K if probabilities are wanted, else None.

    Returns:
        The answer for the whole; invalid wherever no window was.
    """
    labels = np.full(size, INVALID_LABEL, np.uint8)
    scores: NDArray[Any] | None = (
        None if classes is None else np.zeros((*size, classes), np.float32)
    )
    for window, part in parts:
        labels[window.slices] = part.labels
        if scores is not None and part.probabilities is not None:
            scores[window.slices] = part.probabilities
    return Segmentation(labels, scores)
