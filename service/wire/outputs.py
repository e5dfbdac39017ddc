"""Outputs of a model, by their names in its SavedModel."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lacuna.sample import Segmentation

LABELS = "labels"
PROBABILITIES = "probabilities"

_LABEL_BYTES = 2
_PROBABILITY_BYTES = 8
"""Bytes of a number and of its copy in an answer."""

_TEXT_BYTES = 2 * 12
"""Most bytes of a number in JSON, which is joined from parts; measured: 2 × 11.7."""


def estimate_pixel_bytes(name: str, classes: int, *, as_text: bool) -> int:
    """Estimate the memory of an output and of its part of an answer for a pixel, in bytes.

    Args:
        name: `LABELS` or `PROBABILITIES`.
        classes: number of classes of the model.
        as_text: True for numbers in JSON, False for raw bytes.
    """
    if name == LABELS:
        return _LABEL_BYTES + (4 if as_text else 0)
    return classes * (_PROBABILITY_BYTES + (_TEXT_BYTES if as_text else 0))


def choose_output(segmentation: Segmentation, name: str) -> NDArray[Any]:
    """Return one output of an image.

    Args:
        segmentation: segmentation of the image.
        name: `LABELS` or `PROBABILITIES`.

    Returns:
        Labels, uint8 (H, W), or probabilities, float32 (H, W, K).

    Raises:
        ValueError: if probabilities are requested but were not computed.
    """
    if name == LABELS:
        return segmentation.labels
    if segmentation.probabilities is None:
        raise ValueError("the segmentation must have probabilities; it has none")
    return segmentation.probabilities
