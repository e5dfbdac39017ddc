"""Meaning of a network's outputs: logits or probabilities, of one class or of several."""

from __future__ import annotations

from model.adopt.measuring import Measured
from model.adopt.source import AdoptionError, Source

ACTIVATIONS = ("logits", "softmax", "sigmoid")
"""Meanings: logits of any number of classes; probabilities that sum to 1; those of one class."""


def find_meaning(source: Source, outputs: int, measured: Measured, told: str | None = None) -> str:
    """Find what the outputs mean.

    Args:
        source: the network.
        outputs: number of its outputs.
        measured: what was measured of them.
        told: one of `ACTIVATIONS`; None to find it.

    Returns:
        One of `ACTIVATIONS`.

    Raises:
        AdoptionError: if it cannot be known, or what was told contradicts what was measured.
    """
    found = f"they lie in {measured.lowest:.3g} to {measured.highest:.3g}"
    lies_within = measured.lowest >= 0 and measured.highest <= 1
    if told is not None:
        _check_told(told, outputs, measured, found)
        return told
    if source.activation == "linear":
        return "logits"
    if outputs == 1:
        return "sigmoid" if lies_within else "logits"
    if measured.sums_to_one:
        return "softmax"
    if lies_within:
        raise AdoptionError(
            "the meaning of the outputs must be known, logits or probabilities that sum to 1, as a "
            f"pixel has one class; {found} and do not sum to 1. --activation logits takes the "
            "largest"
        )
    return "logits"


def _check_told(told: str, outputs: int, measured: Measured, found: str) -> None:
    lies_within = measured.lowest >= -1e-6 and measured.highest <= 1 + 1e-6
    if told == "softmax" and not measured.sums_to_one:
        raise AdoptionError(f"outputs of a softmax must sum to 1; {found} and do not")
    if told == "sigmoid" and (outputs != 1 or not lies_within):
        raise AdoptionError(
            f"the output of a sigmoid must be one channel from 0 to 1; there are {outputs}, and "
            f"{found}"
        )
