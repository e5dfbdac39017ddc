"""Windows of an image: rectangles, what a model sees of one and keeps, cropping and pasting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lacuna.sample import INVALID_LABEL, Sample, Segmentation


class Window(NamedTuple):
    """Rectangle of an image, in pixels.

    Attributes:
        top: First row.
        left: First column.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices of rows and columns, to index an array (H, W, ...)."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def move(self, down: int, right: int) -> Window:
        """Return the window so many pixels further down and right."""
        return self._replace(top=self.top + down, left=self.left + right)

    def align(self, stride: int) -> Window:
        """Return the smallest window of whole cells of a grid that holds this one."""
        top, left = self.top // stride * stride, self.left // stride * stride
        bottom = -(-(self.top + self.height) // stride) * stride
        right = -(-(self.left + self.width) // stride) * stride
        return Window(top, left, bottom - top, right - left)

    def grow(self, pixels: int) -> Window:
        """Return the window with a border of so many pixels around it."""
        return Window(
            self.top - pixels,
            self.left - pixels,
            self.height + 2 * pixels,
            self.width + 2 * pixels,
        )

    def intersect(self, other: Window) -> Window:
        """Return the common window; without a pixel if there is none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.height, other.top + other.height)
        right = min(self.left + self.width, other.left + other.width)
        return Window(top, left, max(bottom - top, 0), max(right - left, 0))


class Tile(NamedTuple):
    """Input and output window of one model call, in the image's pixels.

    Attributes:
        input: Window that the model sees.
        output: Window of the output that is kept; lies inside the input window.
    """

    input: Window
    output: Window


def crop(sample: Sample, window: Window) -> Sample:
    """Crop a sample to a window, as views of its arrays."""
    return Sample(sample.image[window.slices], sample.mask[window.slices])


def make_empty(size: tuple[int, int], classes: int | None) -> Segmentation:
    """Make a segmentation without valid pixels, to paste tiles into.

    Args:
        size: Height and width in pixels.
        classes: Number of classes K to make probabilities (H, W, K); None for labels alone.
    """
    labels = np.full(size, INVALID_LABEL, np.uint8)
    return Segmentation(labels, None if classes is None else np.zeros((*size, classes), np.float32))


def paste(whole: Segmentation, window: Window, answer: Segmentation) -> None:
    """Copy the segmentation of a window into that of the whole image.

    Args:
        whole: Segmentation of the image, which is changed.
        window: Window of the image.
        answer: Segmentation of the window.

    Raises:
        ValueError: if the answer has another size, or lacks probabilities that `whole` has.
    """
    size = window.height, window.width
    if answer.labels.shape != size:
        raise ValueError(
            f"an answer must have its window's size, {size}; it has {answer.labels.shape}"
        )
    if whole.probabilities is not None and answer.probabilities is None:
        raise ValueError("an answer must hold probabilities where the whole does; it has none")
    whole.labels[window.slices] = answer.labels
    if whole.probabilities is not None and answer.probabilities is not None:
        whole.probabilities[window.slices] = answer.probabilities
