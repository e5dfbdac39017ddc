"""Weights of classes in the loss."""

from __future__ import annotations

import numpy as np

from model.data.dataset import Dataset

MEDIAN_FREQUENCY = "median-frequency"


def choose_class_weights(weights: str | None, dataset: Dataset) -> tuple[float, ...] | None:
    """Return the weight of each class.

    Args:
        weights: numbers with commas between them, one for each class; or `MEDIAN_FREQUENCY`: the
            median of the classes' frequencies over that of the class, where the frequency is that
            among the pixels of the training images that have the class (Eigen and Fergus 2015,
            arXiv:1411.4734). None for no weights.
        dataset: its training images count.

    Raises:
        ValueError: if they are not as many positive numbers as there are classes.
    """
    if weights is None:
        return None
    if weights == MEDIAN_FREQUENCY:
        pixels = np.array([dataset.image_pixels[entry.name] for entry in dataset.training], float)
        with_class = ((pixels > 0) * pixels.sum(axis=1, keepdims=True)).sum(axis=0)
        frequencies = pixels.sum(axis=0) / np.maximum(with_class, 1)
        seen = frequencies[frequencies > 0]
        found = np.median(seen) / np.where(frequencies > 0, frequencies, np.median(seen))
        return tuple(float(f"{value:.5g}") for value in found)
    names = [entry.name for entry in dataset.description.classes]
    try:
        numbers = tuple(float(part) for part in weights.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != len(names) or min(numbers) <= 0 or not np.isfinite(numbers).all():
        raise ValueError(
            f"class weights must be {MEDIAN_FREQUENCY}, or a positive number for each of "
            f"{', '.join(names)}. Received: {weights}"
        )
    return numbers
