"""The contract check: does a model keep the promise that lets us pad, batch and tile?

Random images go through the model in several canvases, beside other images, with other values under
the mask, and cut at other places. Answers must never change: labels not at all, probabilities by no
more than rounding. (Labels alone would not tell: a model may give one label to all random images.)
How far a pixel's influence reaches, and on which grid the model is the same everywhere, is measured
too, and must not exceed what the manifest says. A model that fails may still be served, one image
at a time and uncut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InferenceError
from lacuna.sample import INVALID_LABEL
from service.runtime.protocol import Runtime

Images = NDArray[np.float32]
Masks = NDArray[np.bool_]

# Sides of the images that are moved between canvases: one pixel, odd ones, and whole cells.
_SIZES = ((1, 1), (7, 5), (37, 53), (64, 48))
# Below this a difference in probability is rounding.
_TOLERANCE = 1e-5


class Check(NamedTuple):
    """One part of the contract.

    Attributes:
        name: of the part.
        passed: whether the model keeps it.
        detail: what was measured, for people.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ContractReport:
    """What the check found.

    Attributes:
        checks: each part.
    """

    checks: tuple[Check, ...]

    @cached_property
    def holds(self) -> bool:
        """Whether images may be padded, batched and tiled without changing an answer."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the parts that the model does not keep."""
        return tuple(check.name for check in self.checks if not check.passed)


def check_contract(runtime: Runtime, seed: int = 0) -> ContractReport:
    """Run the whole check.

    Args:
        runtime: the model.
        seed: of the random images.

    Raises:
        InferenceError: if the model fails while running.
    """
    parts: tuple[Callable[[_Probe], Check], ...] = (
        _check_outputs,
        _check_canvas,
        _check_batch_mates,
        _check_fill,
        _check_signatures,
        _check_receptive_radius,
        _check_total_stride,
    )
    return ContractReport(tuple(part(_Probe(runtime, seed)) for part in parts))


class _Probe:
    """Draws images that suit a model, and counts labels that differ."""

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.manifest = runtime.manifest
        self.rng = np.random.default_rng(seed)
        self._white = {"uint8": 255, "uint16": 65535, "float32": 1}[self.manifest.image.dtype]

    def draw_images(self, n: int, height: int, width: int) -> Images:
        """Draw images with structure at several scales: pure noise lets most networks idle."""
        shape = (n, height, width, self.manifest.image.channels)
        coarse = self.rng.random((n, height // 8 + 1, width // 8 + 1, shape[-1]))
        blocks = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        values = (0.6 * blocks + 0.4 * self.rng.random(shape)) * self._white
        return np.round(values).astype(np.float32) if self._white > 1 else values.astype(np.float32)

    def draw_masks(self, n: int, height: int, width: int) -> Masks:
        """Draw masks that are full, ragged and sparse in turn."""
        valid = np.array([1.0, 0.7, 0.3])[np.arange(n) % 3]
        return np.asarray(self.rng.random((n, height, width)) < valid[:, None, None])

    def ask(self, images: Images, masks: Masks) -> _Answer:
        """Run the model for labels and probabilities."""
        output = self.runtime.run(images, masks, probabilities=True)
        if output.probabilities is None:
            raise InferenceError("the model must return probabilities; it returned none")
        return _Answer(output.labels, output.probabilities)


@dataclass(frozen=True)
class _Answer:
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]

    def __getitem__(self, index: Any) -> _Answer:
        """Take some images, rows and columns."""
        return _Answer(self.labels[index], self.probabilities[index])


def _differ(first: _Answer, second: _Answer) -> NDArray[np.bool_]:
    """Tell which pixels were answered otherwise."""
    shift = np.abs(first.probabilities - second.probabilities).max(axis=-1)
    # Written so that NaN, which is neither more nor less, counts as different.
    return np.asarray((first.labels != second.labels) | ~(shift <= _TOLERANCE))


def _count_differing(first: _Answer, second: _Answer) -> int:
    return int(np.count_nonzero(_differ(first, second)))


def _judge(name: str, differing: int, pixels: int) -> Check:
    return Check(name, differing == 0, f"{differing} of {pixels} pixels differ")


def _check_outputs(probe: _Probe) -> Check:
    images, masks = probe.draw_images(3, 37, 53), probe.draw_masks(3, 37, 53)
    labels = probe.ask(images, masks).labels
    wrong = int(np.count_nonzero((labels == INVALID_LABEL) == masks))
    wrong += int(np.count_nonzero(labels[masks] >= len(probe.manifest.classes)))
    return Check(
        "labels", wrong == 0, f"{wrong} of {masks.size} are no class id, or not 255 where invalid"
    )


def _embed(probe: _Probe, image: Images, mask: Masks, canvas: tuple[int, int]) -> _Answer:
    """Ask about an image in the top left corner of a canvas full of noise that the mask hides."""
    height, width = mask.shape
    images = probe.draw_images(1, *canvas)
    masks = np.zeros((1, *canvas), bool)
    images[0, :height, :width], masks[0, :height, :width] = image, mask
    return probe.ask(images, masks)[0, :height, :width]


def _check_canvas(probe: _Probe) -> Check:
    stride = probe.manifest.total_stride
    differing = pixels = 0
    for height, width in _SIZES:
        images, masks = probe.draw_images(2, height, width), probe.draw_masks(2, height, width)
        for image, mask in zip(images, masks, strict=True):
            alone = probe.ask(image[None], mask[None])[0]
            for bottom, right in ((1, 0), (3, 2 * stride + 1), (2 * stride, 40)):
                moved = _embed(probe, image, mask, (height + bottom, width + right))
                differing += _count_differing(moved, alone)
                pixels += mask.size
    return _judge("canvas", differing, pixels)


def _check_batch_mates(probe: _Probe) -> Check:
    images, masks = probe.draw_images(5, 37, 53), probe.draw_masks(5, 37, 53)
    together = probe.ask(images, masks)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = probe.ask(images[order], masks[order])
    differing = _count_differing(shuffled, together[order])
    for index in range(len(images)):
        alone = probe.ask(images[index : index + 1], masks[index : index + 1])
        differing += _count_differing(alone[0], together[index])
    return _judge("batch-mates", differing, 2 * masks.size)


def _check_fill(probe: _Probe) -> Check:
    images, masks = probe.draw_images(2, 40, 56), probe.draw_masks(3, 40, 56)[1:]

    def fill(value: float) -> _Answer:
        return probe.ask(np.where(masks[..., None], images, np.float32(value)), masks)

    fills = (np.nan, np.inf, -np.inf, 1e30)
    differing = sum(_count_differing(fill(value), fill(0)) for value in fills)
    return _judge("values under the mask", differing, len(fills) * masks.size)


def _check_signatures(probe: _Probe) -> Check:
    images, masks = probe.draw_images(2, 37, 53), probe.draw_masks(2, 37, 53)
    both = probe.ask(images, masks).labels
    alone = probe.runtime.run(images, masks, probabilities=False).labels
    return _judge("signatures", int(np.count_nonzero(both != alone)), masks.size)


def _check_receptive_radius(probe: _Probe) -> Check:
    """Change everything beyond a line, values and mask, and see how far before it that is felt."""
    stated, stride = probe.manifest.receptive_radius, probe.manifest.total_stride
    tolerance = _measure_rounding(probe)
    width = 2 * (stated + 2 * stride + 16)
    measured = 0
    for line in range(width // 2, width // 2 + stride, max(stride // 8, 1)):
        images, masks = probe.draw_images(2, 24, width), probe.draw_masks(2, 24, width)
        other, hidden = images.copy(), masks.copy()
        other[:, :, line:] = probe.draw_images(2, 24, width - line)
        hidden[:, :, line:] = probe.draw_masks(3, 24, width - line)[1:]
        for turns in range(4):
            first, second = (
                np.rot90(probe.ask(*_turn(*pair, turns)).probabilities, -turns, axes=(1, 2))
                for pair in ((images, masks), (other, hidden))
            )
            felt = (~(np.abs(first - second) <= tolerance)).any(axis=(0, 1, 3))
            measured = max(measured, line - int(np.argmax(felt))) if felt.any() else measured
    return Check(
        "receptive radius",
        measured <= stated,
        f"measured {measured} pixels; the manifest says {stated}",
    )


def _measure_rounding(probe: _Probe) -> float:
    """Give how far apart two probabilities may be that should be the same: 0 where bits agree."""
    images, masks = probe.draw_images(3, 37, 53), probe.draw_masks(3, 37, 53)
    together, alone = probe.ask(images, masks)[0], probe.ask(images[:1], masks[:1])[0]
    return min(_TOLERANCE, 10 * float(np.abs(together.probabilities - alone.probabilities).max()))


def _turn(images: Images, masks: Masks, turns: int) -> tuple[Images, Masks]:
    """Turn by so many quarters."""
    return (
        np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2))),
        np.ascontiguousarray(np.rot90(masks, turns, axes=(1, 2))),
    )


def _check_total_stride(probe: _Probe) -> Check:
    """Cut off the first rows and columns: on the grid of the total stride nothing may change."""
    stated = probe.manifest.total_stride
    # Well beyond the radius that is stated: whether that is true is another part's question.
    radius = probe.manifest.receptive_radius + 2 * stated + 16
    side = radius + 3 * stated + 32
    images, masks = probe.draw_images(2, side, side), probe.draw_masks(2, side, side)
    whole = probe.ask(images, masks)

    def count_differing(shift: int) -> int:
        moved = (slice(None), slice(shift, None), slice(shift, None))
        inner = (slice(None), slice(radius, None), slice(radius, None))
        cut = probe.ask(np.ascontiguousarray(images[moved]), np.ascontiguousarray(masks[moved]))
        return _count_differing(cut[inner], whole[moved][inner])

    divisors = [n for n in range(1, stated + 1) if stated % n == 0]
    measured = next((n for n in divisors if count_differing(n) == 0), None)
    found = f"measured {measured} pixels" if measured else "no grid was found"
    return Check(
        "total stride", count_differing(stated) == 0, f"{found}; the manifest says {stated}"
    )
