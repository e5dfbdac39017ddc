"""What a model gives, by the names that its SavedModel has for it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lacuna.sample import Segmentation

LABELS = "labels"
PROBABILITIES = "probabilities"


def choose_output(segmentation: Segmentation, name: str) -> NDArray[Any]:
    """Give an output of one image.

    Args:
        segmentation: of the image.
        name: `LABELS` or `PROBABILITIES`.

    Returns:
        uint8 (H, W), or float32 (H, W, K).

    Raises:
        ValueError: if probabilities are wanted and were not computed.
    """
    if name == LABELS:
        return segmentation.labels
    if segmentation.probabilities is None:
        raise ValueError("probabilities are to be sent; the segmentation has none")
    return segmentation.probabilities
