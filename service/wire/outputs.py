"""Outputs of a model, by their names in its SavedModel."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lacuna.sample import Segmentation

LABELS = "labels"
PROBABILITIES = "probabilities"


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
