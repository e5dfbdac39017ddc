"""Where a network has its channels, rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.raster.limits import MOST_CHANNELS
from model.adopt.source import IMAGE_RANK, AdoptionError, Floats, Shape, Source, as_float

LAYOUTS = ("channels-last", "channels-first")
_AXES = {"channels-last": -1, "channels-first": 1}
_LARGEST_TILE = 8192
"""Largest side of an image of one size, in pixels: the largest that a manifest may state."""


@dataclass(frozen=True)
class Layout:
    """Axes and lengths of a network's input and output.

    Attributes:
        channels: number of the image's channels.
        size: height and width of the image, if the network takes no other; None if it does.
        image_first: True if the image is (N, C, H, W), not (N, H, W, C).
        scores_first: the same of the output.
        has_channel: False if the output is (N, H, W).
        outputs: number of the output's channels.
    """

    channels: int
    size: tuple[int, int] | None
    image_first: bool
    scores_first: bool
    has_channel: bool
    outputs: int


def find_layout(source: Source, layout: str | None = None) -> Layout:
    """Find the layout of a network.

    Args:
        source: the network; its image has rank 4.
        layout: one of `LAYOUTS`, for input and output; None to find it.

    Raises:
        AdoptionError: if the shape fits both or none, height or width alone is fixed or too large,
            or the number of outputs is not known.
    """
    shape = source.input.shape or ()
    chosen = layout or _guess(shape, str(source.input))
    is_first = chosen == "channels-first"
    channels = shape[_AXES[chosen]]
    if channels is None or not 1 <= channels <= MOST_CHANNELS:
        raise AdoptionError(
            f"the number of channels must be known, 1 to {MOST_CHANNELS}; the input is "
            f"{source.input}"
        )
    height, width = shape[2:] if is_first else shape[1:3]
    if (height is None) != (width is None):
        raise AdoptionError(
            f"height and width must both be fixed, or neither; the input is {source.input}"
        )
    size = None if height is None or width is None else (height, width)
    if size is not None and not all(1 <= side <= _LARGEST_TILE for side in size):
        raise AdoptionError(
            f"height and width must be 1 to {_LARGEST_TILE} pixels; the input is {source.input}"
        )
    scores = source.output.shape or ()
    if len(scores) < IMAGE_RANK:
        return Layout(channels, size, is_first, scores_first=False, has_channel=False, outputs=1)
    scores_layout = layout or _guess_as(chosen, size, scores, str(source.output))
    outputs = scores[_AXES[scores_layout]]
    if outputs is None or outputs < 1:
        raise AdoptionError(f"the number of outputs must be known; the output is {source.output}")
    return Layout(
        channels,
        size,
        is_first,
        scores_layout == "channels-first",
        has_channel=True,
        outputs=outputs,
    )


def _guess(shape: Shape, described: str) -> str:
    """Return the layout whose axis of channels is fixed, unlike the others, or shorter."""
    first, middle, last = shape[1:]
    if first is None and last is not None:
        return "channels-last"
    if last is None and first is not None:
        return "channels-first"
    if first is not None and last is not None and first != last:
        if middle in (first, last):  # the sides of a square
            return "channels-first" if middle == last else "channels-last"
        return "channels-first" if first < last else "channels-last"
    raise AdoptionError(
        f"the axis of the channels must be told by --layout, {' or '.join(LAYOUTS)}; the shape "
        f"fits both: {described}"
    )


def _guess_as(image: str, size: tuple[int, int] | None, shape: Shape, described: str) -> str:
    """Return the layout of the scores: that of the image, unless its sides are not there."""
    fitting = [layout for layout in LAYOUTS if size is not None and _has_sides(shape, layout, size)]
    if len(fitting) == 1:
        return fitting[0]
    return image if shape[_AXES[image]] is not None else _guess(shape, described)


def _has_sides(shape: Shape, layout: str, size: tuple[int, int]) -> bool:
    """Return True if the image's sides are whole multiples of the output's, by one factor."""
    sides = shape[2:] if layout == "channels-first" else shape[1:3]
    factors = {given / made for given, made in zip(size, sides, strict=True) if made}
    return len(factors) <= 1 and all(factor.is_integer() for factor in factors)


def run_network(source: Source, layout: Layout, images: Floats) -> Floats:
    """Run a network on images.

    Args:
        source: the network.
        layout: its layout.
        images: float32 (N, H, W, C), as the network takes them but for the layout and the type.

    Returns:
        Scores, float32 (N, H / f, W / f, K).
    """
    given = images.transpose(0, 3, 1, 2) if layout.image_first else images
    if source.input.dtype.startswith(("int", "uint")):
        limits = np.iinfo(source.input.dtype)
        given = np.clip(np.round(given), limits.min, limits.max)
    scores = as_float(source.run(np.ascontiguousarray(given, source.input.dtype)))
    if not layout.has_channel:
        return scores[..., None]
    return scores.transpose(0, 2, 3, 1) if layout.scores_first else scores
