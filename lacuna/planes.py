"""Planes that an answer may hold beside the labels, and the memory that they take."""

from __future__ import annotations

from collections.abc import Collection

PROBABILITIES, CONFIDENCE, SUPPORT = PLANES = ("probabilities", "confidence", "support")

_NUMBER_BYTES = 4
"""All planes are float32."""

_SUPPORT_NUMBERS = 4
"""Numbers for a pixel that computing the support takes, the result included; measured."""


def needs_probabilities(planes: Collection[str]) -> bool:
    """Return whether a model must compute probabilities for these planes."""
    return PROBABILITIES in planes or CONFIDENCE in planes


def estimate_plane_bytes(planes: Collection[str], classes: int, copies: int = 1) -> int:
    """Estimate the memory of planes for a pixel, in bytes: as computed, and in an output.

    Args:
        planes: planes that the output holds.
        classes: number of classes of the model.
        copies: most copies of a plane that are there while it is written, the output included.
    """
    if not planes:
        return 0
    written = {PROBABILITIES: classes, CONFIDENCE: 1, SUPPORT: 1}
    numbers = copies * sum(written[name] for name in planes)
    if needs_probabilities(planes):
        numbers += classes
    if CONFIDENCE in planes:
        numbers += 1
    if SUPPORT in planes:
        numbers += _SUPPORT_NUMBERS
    return numbers * _NUMBER_BYTES
