"""Contract check: whether a model may be padded, batched and tiled without changing its output.

Random images run through the model on several canvases, beside other images, with other values
under the mask, and cropped at other places. Labels must not change at all, and probabilities only
by rounding. Probabilities are compared as well because a model might give the same label to all
random images. The check also measures the receptive radius and the grid on which the model is
translation-invariant; neither may exceed what the manifest states. A model that fails may still be
served, one image at a time and without tiling.
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

# Sizes of the images that are placed on canvases: one pixel, odd sides, and whole cells.
_SIZES = ((1, 1), (7, 5), (37, 53), (64, 48))
# Largest difference of probabilities that counts as rounding.
_TOLERANCE = 1e-5


class Check(NamedTuple):
    """Result of one part of the contract check.

    Attributes:
        name: Name of the part.
        passed: True if the model passes it.
        detail: Measured values, for people.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ContractReport:
    """Report of the contract check.

    Attributes:
        checks: Result of each part.
    """

    checks: tuple[Check, ...]

    @cached_property
    def holds(self) -> bool:
        """True if images may be padded, batched and tiled without changing an output."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the parts that failed."""
        return tuple(check.name for check in self.checks if not check.passed)


def check_contract(runtime: Runtime, seed: int = 0) -> ContractReport:
    """Run all parts of the contract check.

    Args:
        runtime: Runtime of the model.
        seed: Seed of the random images.

    Raises:
        InferenceError: if the model fails while running.
    """
    parts: tuple[Callable[[_ModelProbe], Check], ...] = (
        _check_outputs,
        _check_canvas,
        _check_batch_mates,
        _check_fill,
        _check_signatures,
        _check_receptive_radius,
        _check_total_stride,
    )
    return ContractReport(tuple(part(_ModelProbe(runtime, seed)) for part in parts))


class _ModelProbe:
    """Source of random images for a model, and runner of the model."""

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.manifest = runtime.manifest
        self.rng = np.random.default_rng(seed)
        self._white = {"uint8": 255, "uint16": 65535, "float32": 1}[self.manifest.image.dtype]

    def draw_images(self, n: int, height: int, width: int) -> Images:
        """Draw images with structure at several scales. Pure noise leaves most networks idle."""
        shape = (n, height, width, self.manifest.image.channels)
        coarse = self.rng.random((n, height // 8 + 1, width // 8 + 1, shape[-1]))
        blocks = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        values = (0.6 * blocks + 0.4 * self.rng.random(shape)) * self._white
        return np.round(values).astype(np.float32) if self._white > 1 else values.astype(np.float32)

    def draw_masks(self, n: int, height: int, width: int) -> Masks:
        """Draw masks that are full, ragged and sparse in turn."""
        valid = np.array([1.0, 0.7, 0.3])[np.arange(n) % 3]
        return np.asarray(self.rng.random((n, height, width)) < valid[:, None, None])

    def run(self, images: Images, masks: Masks) -> _Output:
        """Run the model for labels and probabilities."""
        output = self.runtime.run(images, masks, probabilities=True)
        if output.probabilities is None:
            raise InferenceError("the model must return probabilities; it returned none")
        return _Output(output.labels, output.probabilities)


@dataclass(frozen=True)
class _Output:
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]

    def __getitem__(self, index: Any) -> _Output:
        """Select images, rows and columns."""
        return _Output(self.labels[index], self.probabilities[index])


def _differ(first: _Output, second: _Output) -> NDArray[np.bool_]:
    """Compare two outputs: bool (N, H, W), True = the pixels differ."""
    shift = np.abs(first.probabilities - second.probabilities).max(axis=-1)
    # Negated, so that a difference of NaN counts as different.
    return np.asarray((first.labels != second.labels) | ~(shift <= _TOLERANCE))


def _count_differing(first: _Output, second: _Output) -> int:
    return int(np.count_nonzero(_differ(first, second)))


def _make_check(name: str, differing: int, pixels: int) -> Check:
    return Check(name, differing == 0, f"{differing} of {pixels} pixels differ")


def _check_outputs(probe: _ModelProbe) -> Check:
    images, masks = probe.draw_images(3, 37, 53), probe.draw_masks(3, 37, 53)
    labels = probe.run(images, masks).labels
    wrong = int(np.count_nonzero((labels == INVALID_LABEL) == masks))
    wrong += int(np.count_nonzero(labels[masks] >= len(probe.manifest.classes)))
    return Check(
        "labels",
        wrong == 0,
        f"{wrong} of {masks.size} labels are not a class id, or not 255 where invalid",
    )


def _run_on_canvas(
    probe: _ModelProbe, image: Images, mask: Masks, canvas: tuple[int, int]
) -> _Output:
    """Run an image in the top left corner of a canvas of noise that the mask hides."""
    height, width = mask.shape
    images = probe.draw_images(1, *canvas)
    masks = np.zeros((1, *canvas), bool)
    images[0, :height, :width], masks[0, :height, :width] = image, mask
    return probe.run(images, masks)[0, :height, :width]


def _check_canvas(probe: _ModelProbe) -> Check:
    stride = probe.manifest.total_stride
    differing = pixels = 0
    for height, width in _SIZES:
        images, masks = probe.draw_images(2, height, width), probe.draw_masks(2, height, width)
        for image, mask in zip(images, masks, strict=True):
            alone = probe.run(image[None], mask[None])[0]
            for bottom, right in ((1, 0), (3, 2 * stride + 1), (2 * stride, 40)):
                moved = _run_on_canvas(probe, image, mask, (height + bottom, width + right))
                differing += _count_differing(moved, alone)
                pixels += mask.size
    return _make_check("canvas", differing, pixels)


def _check_batch_mates(probe: _ModelProbe) -> Check:
    images, masks = probe.draw_images(5, 37, 53), probe.draw_masks(5, 37, 53)
    together = probe.run(images, masks)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = probe.run(images[order], masks[order])
    differing = _count_differing(shuffled, together[order])
    for index in range(len(images)):
        alone = probe.run(images[index : index + 1], masks[index : index + 1])
        differing += _count_differing(alone[0], together[index])
    return _make_check("batch-mates", differing, 2 * masks.size)


def _check_fill(probe: _ModelProbe) -> Check:
    images, masks = probe.draw_images(2, 40, 56), probe.draw_masks(3, 40, 56)[1:]

    def fill(value: float) -> _Output:
        return probe.run(np.where(masks[..., None], images, np.float32(value)), masks)

    fills = (np.nan, np.inf, -np.inf, 1e30)
    differing = sum(_count_differing(fill(value), fill(0)) for value in fills)
    return _make_check("values under the mask", differing, len(fills) * masks.size)


def _check_signatures(probe: _ModelProbe) -> Check:
    images, masks = probe.draw_images(2, 37, 53), probe.draw_masks(2, 37, 53)
    both = probe.run(images, masks).labels
    alone = probe.runtime.run(images, masks, probabilities=False).labels
    return _make_check("signatures", int(np.count_nonzero(both != alone)), masks.size)


def _check_receptive_radius(probe: _ModelProbe) -> Check:
    """Change values and mask beyond a line, and measure how far before it the output changes."""
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
                np.rot90(probe.run(*_turn(*pair, turns)).probabilities, -turns, axes=(1, 2))
                for pair in ((images, masks), (other, hidden))
            )
            changed = (~(np.abs(first - second) <= tolerance)).any(axis=(0, 1, 3))
            measured = max(measured, line - int(np.argmax(changed))) if changed.any() else measured
    return Check(
        "receptive radius",
        measured <= stated,
        f"measured {measured} pixels; the manifest says {stated}",
    )


def _measure_rounding(probe: _ModelProbe) -> float:
    """Return the largest difference of probabilities that is rounding; 0 if the bits agree."""
    images, masks = probe.draw_images(3, 37, 53), probe.draw_masks(3, 37, 53)
    together, alone = probe.run(images, masks)[0], probe.run(images[:1], masks[:1])[0]
    return min(_TOLERANCE, 10 * float(np.abs(together.probabilities - alone.probabilities).max()))


def _turn(images: Images, masks: Masks, turns: int) -> tuple[Images, Masks]:
    """Rotate images and masks by a number of quarter turns."""
    return (
        np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2))),
        np.ascontiguousarray(np.rot90(masks, turns, axes=(1, 2))),
    )


def _check_total_stride(probe: _ModelProbe) -> Check:
    """Crop the first rows and columns by the total stride, which must not change the output."""
    stated = probe.manifest.total_stride
    # Well beyond the stated radius, which another part of the check verifies.
    radius = probe.manifest.receptive_radius + 2 * stated + 16
    side = radius + 3 * stated + 32
    images, masks = probe.draw_images(2, side, side), probe.draw_masks(2, side, side)
    whole = probe.run(images, masks)

    def count_differing(shift: int) -> int:
        moved = (slice(None), slice(shift, None), slice(shift, None))
        inner = (slice(None), slice(radius, None), slice(radius, None))
        cut = probe.run(np.ascontiguousarray(images[moved]), np.ascontiguousarray(masks[moved]))
        return _count_differing(cut[inner], whole[moved][inner])

    divisors = [n for n in range(1, stated + 1) if stated % n == 0]
    measured = next((n for n in divisors if count_differing(n) == 0), None)
    found = f"measured {measured} pixels" if measured else "no grid was found"
    return Check(
        "total stride", count_differing(stated) == 0, f"{found}; the manifest says {stated}"
    )
