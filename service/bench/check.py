"""Comparing an answer with the one that the image gets when it is asked alone."""

from __future__ import annotations

import numpy as np

from lacuna.errors import InvalidImageError
from lacuna.raster.npy import read_npy


def count_differing_labels(expected: bytes, answer: bytes) -> int:
    """Count the labels in which two answers differ.

    Args:
        expected: NPY file of labels uint8 (H, W).
        answer: what came; if that is not an NPY file of as many labels, all of them differ.
    """
    if answer == expected:
        return 0
    wanted = read_npy(expected)
    try:
        labels = read_npy(answer)
    except InvalidImageError:
        return wanted.size
    if labels.shape != wanted.shape:
        return wanted.size
    return int(np.count_nonzero(labels != wanted))
