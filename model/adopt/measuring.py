"""Measurement of a network: what sizes it takes, its resolution, its stride and its reach.

The network runs on random images, and nothing is read from its graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.adopt.source import AdoptionError, Floats, first_line

Network = Callable[[Floats], Floats]
"""Function from images (N, H, W, C) to scores (N, H / f, W / f, K)."""

_CELLS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
_SIDE = 384
"""Side of the first image: a multiple of every cell."""
_SMALLEST = 33
_WIDTHS = (256, 512, 1024, 2048)
"""Widths of the strips that the reach is measured on. What reaches further counts as unlimited."""
_TOLERANCE = 1e-4
"""Largest difference that counts as rounding, relative to the largest score."""
_PHASES = 8


@dataclass(frozen=True)
class Measured:
    """Measurements of a network.

    Attributes:
        factor: pixels of the image for one of the output, along each side.
        cell: height and width must be multiples of it.
        total_stride: shifts by multiples of it shift the output; None if none do.
        radius: largest distance in pixels from an output pixel to an input pixel that changes it,
            over all phases; None if there is no limit.
        lowest: least score.
        highest: largest score.
        sums_to_one: True if the scores of each pixel do.
    """

    factor: int
    cell: int
    total_stride: int | None
    radius: int | None
    lowest: float
    highest: float
    sums_to_one: bool


class Probe:
    """Source of random images for a network, and runner of the network.

    Args:
        network: the network.
        channels: of its images.
        values: least and largest value of its images.
        size: height and width that it takes; None if it takes others.
    """

    def __init__(
        self,
        network: Network,
        channels: int,
        values: tuple[float, float],
        size: tuple[int, int] | None = None,
    ) -> None:
        self.network = network
        self.size = size
        self._channels = channels
        self._values = values
        self._rng = np.random.default_rng(0)

    def draw(self, height: int, width: int) -> Floats:
        """Draw an image (1, H, W, C) with structure at several scales."""
        low, high = self._values
        coarse = self._rng.random((1, height // 8 + 1, width // 8 + 1, self._channels))
        blocks = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        values = 0.6 * blocks + 0.4 * self._rng.random((1, height, width, self._channels))
        return (low + (high - low) * values).astype(np.float32)

    def run(self, image: Floats) -> Floats:
        """Run the network.

        Raises:
            AdoptionError: if it fails.
        """
        try:
            return self.network(image)
        except Exception as error:
            height, width = image.shape[1:3]
            raise AdoptionError(
                f"the network must take an image of {height} × {width} pixels; {first_line(error)}"
            ) from error


def measure(probe: Probe) -> Measured:
    """Measure a network.

    Args:
        probe: of the network.

    Raises:
        AdoptionError: if it fails, its output does not cover the image, or is not finite.
    """
    height, width = probe.size or (_SIDE, _SIDE)
    image = probe.draw(height, width)
    scores = probe.run(image)
    factor = _find_factor(image, scores)
    if not np.isfinite(scores).all():
        raise AdoptionError("the scores must be finite numbers; some are not")
    cell = 1 if probe.size else _find_cell(probe, factor)
    radius = _find_radius(probe, cell, factor)
    stride = None if radius is None else _find_stride(probe, cell, factor, radius)
    if stride is not None and stride > 1:
        # What begins with the second or the last pixel of a cell is felt furthest.
        phases = {*range(0, stride, max(stride // _PHASES, 1)), 1, stride - 1}
        radius = _find_radius(probe, stride, factor, sorted(phases))
    sums = scores.sum(axis=-1)
    return Measured(
        factor,
        cell,
        stride,
        radius if stride is not None else None,
        float(scores.min()),
        float(scores.max()),
        bool(np.abs(sums - 1).max() < 1e-3 and scores.min() >= 0),
    )


def check_batches(probe: Probe, measured: Measured) -> None:
    """Check that a network takes several images at a time.

    Raises:
        AdoptionError: if it does not.
    """
    times = -(-_SMALLEST // measured.cell)
    height, width = probe.size or (measured.cell * times,) * 2
    images = np.concatenate([probe.draw(height, width), probe.draw(height, width)])
    expected = (2, height // measured.factor, width // measured.factor)
    try:
        found = probe.network(images).shape[:3]
    except Exception as error:
        raise AdoptionError(
            "the network must take any number of images at a time, so its first axis must be "
            f"free; {first_line(error)}"
        ) from error
    if found != expected:
        raise AdoptionError(
            "the network must return scores for each of several images; for 2 of them it returned "
            f"{found[0]}"
        )


def _find_factor(image: Floats, scores: Floats) -> int:
    sizes = image.shape[1:3], scores.shape[1:3]
    factors = {given / max(made, 1) for given, made in zip(*sizes, strict=True)}
    factor = min(factors)
    if len(factors) > 1 or factor < 1 or factor != int(factor):
        given, made = (f"{height} × {width}" for height, width in sizes)
        raise AdoptionError(
            "the output must cover the image, at its resolution or at a whole fraction of it; for "
            f"{given} pixels it is {made}"
        )
    return int(factor)


def _find_cell(probe: Probe, factor: int) -> int:
    """Return the least number whose multiples the network takes as height and width."""
    for cell in _CELLS:
        if cell % factor:
            continue
        times = -(-_SMALLEST // cell) | 1  # odd, so that twice the cell does not pass for it
        height, width = cell * times, cell * (times + 2)
        try:
            scores = probe.network(probe.draw(height, width))
        except Exception:  # noqa: BLE001, S112 (it does not take this size)
            continue
        if scores.shape[1:3] == (height // factor, width // factor):
            return cell
    raise AdoptionError(
        f"height and width must be free, or multiples of at most {_CELLS[-1]}; the network takes "
        f"{_SIDE} × {_SIDE}, but fails beside it"
    )


def _find_radius(probe: Probe, cell: int, factor: int, phases: Sequence[int] = (0,)) -> int | None:
    """Change the values beyond a line, and find how far before it the output changes."""
    for height, width in _list_strips(probe, cell):
        reach = 0
        for phase in phases:
            for axis in (1, 2):
                size = (height, width) if axis == 2 or probe.size else (width, height)
                reach = max(reach, *_measure_reach(probe, size, axis, factor, phase))
        limit = (min(probe.size) if probe.size else width) // 2 - max(phases) - factor
        if reach < limit:
            return reach
    return None


def _list_strips(probe: Probe, cell: int) -> Iterator[tuple[int, int]]:
    if probe.size:
        yield probe.size
        return
    for width in _WIDTHS:
        yield -(-_SMALLEST // cell) * cell, -(-width // cell) * cell


def _measure_reach(
    probe: Probe, size: tuple[int, int], axis: int, factor: int, phase: int
) -> tuple[int, int]:
    """Return the distance in pixels at which changes before and beyond a line are felt."""
    first, other = probe.draw(*size), probe.draw(*size)
    line = first.shape[axis] // 2 + phase
    before = np.arange(first.shape[axis]) < line
    before = before[:, None] if axis == 1 else before[None, :]
    scores = probe.run(first)
    # Bits that differ between runs of the same image tell nothing.
    noise = 10 * float(np.abs(scores - probe.run(first)).max())
    reaches = []
    for kept in (before, ~before):
        changed = np.abs(probe.run(np.where(kept[None, ..., None], first, other)) - scores) > noise
        cells = np.flatnonzero(changed.any(axis=(0, 3, 3 - axis)))
        if not cells.size:
            reaches.append(0)
        elif kept is before:
            reaches.append(line - int(cells[0]) * factor)
        else:
            reaches.append((int(cells[-1]) + 1) * factor - line)
    return max(reaches[0], 0), max(reaches[1], 0)


def _find_stride(probe: Probe, cell: int, factor: int, radius: int) -> int | None:
    """Return the least shift that shifts the output, away from the borders."""
    for stride in _CELLS:
        if stride % math.lcm(cell, factor):
            continue
        if all(_is_shifted(probe, factor, radius, stride, axis) for axis in (1, 2)):
            return stride
    return None


def _is_shifted(probe: Probe, factor: int, radius: int, stride: int, axis: int) -> bool:
    """Return True if the output of a strip follows when the image moves along it.

    Its sides are multiples of the stride, as those of the images that the network will be given.
    """
    short, long = -(-_SMALLEST // stride) * stride, 2 * radius + 4 * stride + _SMALLEST
    long = -(-long // stride) * stride
    height, width = probe.size or ((short, long) if axis == 2 else (long, short))
    image = probe.draw(height + stride, width + stride)
    moved = [0, 0]
    moved[axis - 1] = stride
    down, right = moved
    one = probe.run(np.ascontiguousarray(image[:, :height, :width]))
    two = probe.run(np.ascontiguousarray(image[:, down : down + height, right : right + width]))
    shift, margin, length = stride // factor, -(-radius // factor), one.shape[axis]
    if length - 2 * margin - shift < 1:
        return False
    inner = one.take(range(margin + shift, length - margin), axis)
    other = two.take(range(margin, length - margin - shift), axis)
    rounding = _TOLERANCE * max(float(np.abs(one).max()), 1e-6)
    return bool(np.abs(inner - other).max() <= rounding)
