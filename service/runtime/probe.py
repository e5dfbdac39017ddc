"""Contract check: whether a model may be padded, batched and tiled without changing its output.

Random images run through the model on several canvases, beside other images, with other values
under the mask, and cropped at other places. Of a model that can keep a window, windows are computed
alone as well, and of one that computes strips, images on strips. Labels must not change at all, and
probabilities only by rounding. Probabilities are
compared as well because a model might give the same label to all random images. The check also
measures the receptive radius and the grid on which the model is translation-invariant; neither may
exceed what the manifest states. A model that fails is still served: in batches of one size, if
batch-mates change nothing, and if it is translation-invariant or takes tiles of one size, large
images in overlapping tiles. What their seams change is measured, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InferenceError
from lacuna.sample import INVALID_LABEL
from lacuna.windows.window import Window
from service.runtime.manifest import UNLIMITED_RADIUS
from service.runtime.protocol import Runtime
from service.runtime.seams import Seams, choose_probe_sizes, measure_seams

Images = NDArray[np.float32]
Masks = NDArray[np.bool_]

# Sizes of the images that are placed on canvases: one pixel, odd sides, and whole cells.
_SIZES = ((1, 1), (7, 5), (37, 53), (64, 48))
BATCH_MATES = "batch-mates"
_SIZE = "size"
# Parts that may fail if large images are cut into overlapping tiles.
_NOT_FOR_TILES = {"canvas", BATCH_MATES, "windows", _SIZE}
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
        seams: What seams change, if the model breaks the contract and large images may still be cut
            into overlapping tiles; None otherwise.
    """

    checks: tuple[Check, ...]
    seams: Seams | None = None

    @cached_property
    def holds(self) -> bool:
        """True if images may be padded, batched and tiled without changing an output."""
        return all(check.passed for check in self.checks)

    @cached_property
    def may_batch(self) -> bool:
        """True if images of one size may share a batch."""
        return BATCH_MATES not in self.failed

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
    manifest = runtime.manifest
    if manifest.tiles is not None:
        parts = (_check_outputs, _check_batch_mates, _check_fill, _check_signatures, _tell_size)
    else:
        parts = (
            _check_outputs,
            _check_canvas,
            _check_batch_mates,
            _check_fill,
            _check_signatures,
            *((_check_windows,) if runtime.can_keep else ()),
            *((_check_strips,) if runtime.can_skip else ()),
            *_list_measurements(manifest.receptive_radius),
        )
    report = ContractReport(tuple(part(_ModelProbe(runtime, seed)) for part in parts))
    # Tiles need a grid and a reach that the check has confirmed, or the one size that there is.
    if report.holds or not set(report.failed) <= _NOT_FOR_TILES:
        return report
    return replace(report, seams=_measure_seams(_ModelProbe(runtime, seed)))


_Part = Callable[["_ModelProbe"], Check]


def _list_measurements(stated_radius: int) -> tuple[_Part, ...]:
    if stated_radius == UNLIMITED_RADIUS:
        return (_tell_unlimited,)
    return (_check_receptive_radius, _check_total_stride)


def _tell_size(probe: _ModelProbe) -> Check:
    tiles = probe.manifest.tiles
    told = "" if tiles is None else f"takes images of {tiles.height} × {tiles.width} pixels alone"
    return Check(_SIZE, passed=False, detail=told)


def _tell_unlimited(_: _ModelProbe) -> Check:
    return Check(
        "receptive radius", passed=False, detail="the manifest says that it is the whole image"
    )


def _measure_seams(probe: _ModelProbe) -> Seams:
    size, side = choose_probe_sizes(probe.manifest)
    image, mask = probe.draw_images(1, *size)[0], probe.draw_masks(1, *size)[0]
    return measure_seams(probe.runtime, image, mask, side)


def draw_batch(
    runtime: Runtime, count: int, height: int, width: int, seed: int = 0
) -> tuple[Images, Masks]:
    """Draw random images and masks as the contract check does.

    Args:
        runtime: Runtime of the model that they are for.
        count: Number of images N.
        height: Largest height H in pixels; that of a tile if the model takes none so large.
        width: Largest width W in pixels.
        seed: Seed of the random numbers.

    Returns:
        float32 (N, H, W, C), and bool (N, H, W), True = valid.
    """
    probe = _ModelProbe(runtime, seed)
    size = probe.limit(height, width)
    return probe.draw_images(count, *size), probe.draw_masks(count, *size)


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

    def limit(self, height: int, width: int) -> tuple[int, int]:
        """Return a size, or that of a tile if the model takes none so large."""
        tiles = self.manifest.tiles
        return (
            (height, width)
            if tiles is None
            else (min(height, tiles.height), min(width, tiles.width))
        )

    def draw_window(self, height: int, width: int) -> Window:
        """Draw a window of an image; every other side ends at the image's border."""
        sides = []
        for length in (height, width):
            first, last = sorted(self.rng.integers(0, length + 1, 2).tolist())
            first, last = [(first, last), (0, last), (first, length)][self.rng.integers(3)]
            sides.append((min(first, length - 1), max(last - first, 1)))
        (top, rows), (left, columns) = sides
        return Window(top, left, rows, columns)

    def draw_cells(self, n: int, height: int, width: int) -> Masks:
        """Draw masks of cells of the total stride, of which half, a tenth and none are valid."""
        cell = self.manifest.total_stride
        cells = self.rng.random((n, height // cell + 1, width // cell + 1))
        valid = cells < np.array([0.5, 0.1, 0.0])[np.arange(n) % 3, None, None]
        return valid.repeat(cell, axis=1).repeat(cell, axis=2)[:, :height, :width]

    def run(
        self, images: Images, masks: Masks, keep: Window | None = None, *, on_strips: bool = False
    ) -> _Output:
        """Run the model for labels and probabilities."""
        options = {"on_strips": True} if on_strips else {"keep": keep}
        output = self.runtime.run(images, masks, probabilities=True, **options)
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
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(3, *size), probe.draw_masks(3, *size)
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
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(5, *size), probe.draw_masks(5, *size)
    together = probe.run(images, masks)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = probe.run(images[order], masks[order])
    differing = _count_differing(shuffled, together[order])
    for index in range(len(images)):
        alone = probe.run(images[index : index + 1], masks[index : index + 1])
        differing += _count_differing(alone[0], together[index])
    return _make_check(BATCH_MATES, differing, 2 * masks.size)


def _check_fill(probe: _ModelProbe) -> Check:
    size = probe.limit(40, 56)
    images, masks = probe.draw_images(2, *size), probe.draw_masks(3, *size)[1:]

    def fill(value: float) -> _Output:
        return probe.run(np.where(masks[..., None], images, np.float32(value)), masks)

    fills = (np.nan, np.inf, -np.inf, 1e30)
    differing = sum(_count_differing(fill(value), fill(0)) for value in fills)
    return _make_check("values under the mask", differing, len(fills) * masks.size)


def _check_signatures(probe: _ModelProbe) -> Check:
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(2, *size), probe.draw_masks(2, *size)
    both = probe.run(images, masks).labels
    alone = probe.runtime.run(images, masks, probabilities=False).labels
    return _make_check("signatures", int(np.count_nonzero(both != alone)), masks.size)


def _check_windows(probe: _ModelProbe) -> Check:
    """Compare windows that are computed alone with the same windows of whole images."""
    length = 2 * probe.manifest.receptive_radius + 64
    differing = pixels = 0
    for height, width in ((37, length), (length, 53)):
        images, masks = probe.draw_images(3, height, width), probe.draw_masks(3, height, width)
        whole = probe.run(images, masks)
        for _ in range(3):
            keep = probe.draw_window(height, width)
            alone = probe.run(images, masks, keep)
            labels = probe.runtime.run(images, masks, probabilities=False, keep=keep).labels
            mate = probe.run(images[1:2], masks[1:2], keep)
            differing += _count_differing(alone, whole[:, *keep.slices])
            differing += _count_differing(mate, alone[1:2])
            differing += int(np.count_nonzero(labels != alone.labels))
            pixels += 3 * alone.labels.size
    return _make_check("windows", differing, pixels)


def _check_strips(probe: _ModelProbe) -> Check:
    """Compare images that are computed on strips with the same images computed whole."""
    cell = probe.manifest.total_stride
    differing = pixels = 0
    for height, width in ((5 * cell + 3, 20 * cell + 5), (30 * cell, 9 * cell - 1)):
        images, masks = probe.draw_images(4, height, width), probe.draw_masks(4, height, width)
        masks[1:] &= probe.draw_cells(3, height, width)
        whole, on_strips = (probe.run(images, masks, on_strips=chosen) for chosen in (False, True))
        labels = probe.runtime.run(images, masks, probabilities=False, on_strips=True).labels
        mate = probe.run(images[2:3], masks[2:3], on_strips=True)
        differing += _count_differing(on_strips, whole) + _count_differing(mate, whole[2:3])
        differing += int(np.count_nonzero(labels != whole.labels))
        pixels += 2 * masks.size + masks[0].size
    return _make_check("strips", differing, pixels)


def _check_receptive_radius(probe: _ModelProbe) -> Check:
    """Change values and mask beyond a line, and measure how far before it the output changes."""
    stated, stride = probe.manifest.receptive_radius, probe.manifest.total_stride
    tolerance = _measure_rounding(probe)
    middle = -(-(stated + 2 * stride + 16) // stride) * stride
    width, measured = 2 * middle, 0
    # What begins with the second or the last pixel of a cell is felt furthest.
    phases = {*range(0, stride, max(stride // 8, 1)), min(1, stride - 1), stride - 1}
    for line in (middle + phase for phase in sorted(phases)):
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
