"""Measurement of what seams change, for models that are cut into overlapping tiles.

A model that takes any size is compared with itself on the whole image. One that takes tiles of one
size alone is compared with itself on the same image cut elsewhere, away from the new border.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.core.cutting import Cut, cut_image
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput, Runtime

_CELLS = 4
"""Cells that a tile keeps between its halos, along each side, when seams are measured."""


class Seams(NamedTuple):
    """Difference that seams make on random images.

    Attributes:
        overlap: Pixels that neighbouring tiles share.
        differing: Number of labels that differ.
        pixels: Number of labels that were compared.
        shift: Largest difference of a probability.
    """

    overlap: int
    differing: int
    pixels: int
    shift: float


def find_halo(manifest: Manifest) -> int:
    """Return the receptive radius of a model in pixels, rounded up to its total stride."""
    stride = manifest.total_stride
    return -(-manifest.receptive_radius // stride) * stride


def choose_cut(manifest: Manifest, side: int) -> Cut | None:
    """Choose how images are cut.

    Args:
        manifest: Manifest of the model.
        side: Largest side of a tile in pixels, for a model that takes any.

    Returns:
        The rules; None if a tile of this side would be all halo.
    """
    stride, overlap = manifest.total_stride, 2 * find_halo(manifest)
    if manifest.tiles is not None:
        height, width, overlap = manifest.tiles.height, manifest.tiles.width, manifest.tiles.overlap
        is_on_grid = not any(length % stride for length in (height, width, overlap))
        return Cut((height, width), overlap, stride if is_on_grid else 1)
    side = side // stride * stride
    return Cut((side, side), overlap, stride) if side > overlap else None


def choose_probe_sizes(manifest: Manifest) -> tuple[tuple[int, int], int]:
    """Choose how seams are measured.

    Returns:
        Height and width of the image in pixels, and the side of a tile.
    """
    if manifest.tiles is not None:
        height, width = manifest.tiles.height, manifest.tiles.width
        return (2 * height + height // 2, width + width // 2), 0
    side = 2 * find_halo(manifest) + _CELLS * manifest.total_stride
    return (2 * side - 1, side + side // 2), side


def measure_seams(
    runtime: Runtime, image: NDArray[np.float32], mask: NDArray[np.bool_], side: int
) -> Seams:
    """Measure what seams change.

    Args:
        runtime: Runtime of the model.
        image: float32 (H, W, C), larger than a tile.
        mask: bool (H, W), True = valid.
        side: Side of a tile, for a model that takes any.

    Raises:
        InferenceError: if the model fails.
        ValueError: if tiles of this side would be all halo.
    """
    cut = choose_cut(runtime.manifest, side)
    if cut is None:
        raise ValueError(f"a tile must be larger than its halos; its side is {side}")
    first = _run_tiles(runtime, image, mask, cut)
    if runtime.manifest.tiles is None:
        second = _run_tiles(runtime, image, mask, cut._replace(size=mask.shape, overlap=0))
    else:
        down = (cut.size[0] - cut.overlap) // 2 // cut.grid * cut.grid
        border = min(find_halo(runtime.manifest), cut.size[0] // 2)
        second = _cut_rows(_run_tiles(runtime, image[down:], mask[down:], cut), border)
        first = _cut_rows(first, down + border)
    shift = np.abs(_get_scores(first) - _get_scores(second)).max()
    differing = np.count_nonzero(first.labels != second.labels)
    return Seams(cut.overlap, int(differing), first.labels.size, float(shift))


def _cut_rows(output: BatchOutput, first: int) -> BatchOutput:
    return BatchOutput(output.labels[first:], _get_scores(output)[first:])


def _get_scores(output: BatchOutput) -> NDArray[np.float32]:
    if output.probabilities is None:
        raise ValueError("seams are measured on probabilities; there are none")
    return output.probabilities


def _run_tiles(
    runtime: Runtime, image: NDArray[np.float32], mask: NDArray[np.bool_], cut: Cut
) -> BatchOutput:
    """Run a model on the tiles of one image, one after another, and put them together."""
    height, width = mask.shape
    labels = np.zeros((height, width), np.uint8)
    scores = np.zeros((height, width, len(runtime.manifest.classes)), np.float32)
    for seen, kept in cut_image((height, width), cut):
        rows, columns = seen.slices
        found = runtime.run(
            image[None, rows, columns], mask[None, rows, columns], probabilities=True
        )
        inner = kept.move(-seen.top, -seen.left).slices
        labels[kept.slices] = found.labels[0][inner]
        scores[kept.slices] = _get_scores(found)[0][inner]
    return BatchOutput(labels, scores)
