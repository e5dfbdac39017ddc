"""Outputs of a model: by their names in its SavedModel, or computed from these and the mask."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT, estimate_plane_bytes
from lacuna.sample import Sample, Segmentation
from lacuna.windows.support import compute_support

LABELS = "labels"

_LABEL_BYTES = 2
"""Bytes of a label and of its copy in an answer."""

_TEXT_BYTES = 2 * 12
"""Most bytes of a number in JSON, which is joined from parts; measured: 2 × 11.7."""


def complete(
    segmentation: Segmentation, sample: Sample, planes: Collection[str], radius: int
) -> Segmentation:
    """Add to a segmentation the planes that no model computes, and its place on Earth.

    Args:
        segmentation: of the sample; with probabilities, if the confidence is among the planes.
        sample: what was segmented.
        planes: planes that the answer holds.
        radius: receptive radius of the model, in pixels.
    """
    if sample.georeference is not None:
        segmentation = replace(segmentation, georeference=sample.georeference)
    if CONFIDENCE in planes:
        probabilities = choose_output(segmentation, PROBABILITIES)
        kept = probabilities if PROBABILITIES in planes else None
        segmentation = replace(
            segmentation, confidence=probabilities.max(axis=-1), probabilities=kept
        )
    if SUPPORT in planes:
        support = compute_support(sample.mask, radius)
        support *= sample.mask
        segmentation = replace(segmentation, support=support)
    return segmentation


def estimate_pixel_bytes(name: str, classes: int, *, as_text: bool) -> int:
    """Estimate the memory of an output and of its part of an answer for a pixel, in bytes.

    Args:
        name: `LABELS`, or a plane.
        classes: number of classes of the model.
        as_text: True for numbers in JSON, False for raw bytes.
    """
    if name == LABELS:
        return _LABEL_BYTES + (4 if as_text else 0)
    numbers = classes if name == PROBABILITIES else 1
    return estimate_plane_bytes([name], classes) + (_TEXT_BYTES * numbers if as_text else 0)


def choose_output(segmentation: Segmentation, name: str) -> NDArray[Any]:
    """Return one output of an image.

    Args:
        segmentation: segmentation of the image.
        name: `LABELS`, or a plane.

    Returns:
        Labels, uint8 (H, W); probabilities, float32 (H, W, K); or another plane, float32 (H, W).

    Raises:
        ValueError: if the plane is requested but was not computed.
    """
    output: NDArray[Any] | None = getattr(segmentation, name)
    if output is None:
        raise ValueError(f"the segmentation must have {name}; it has none")
    return output
