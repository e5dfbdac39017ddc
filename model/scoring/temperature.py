"""Temperature of a network's probabilities (Guo et al. 2017, arXiv:1706.04599).

softmax(logits / T) has the labels of softmax(logits). T above 1 makes a network less sure, T below
1 surer. That of the lowest negative log likelihood is fitted to images that weights were not fitted
to. A handful of images may ask for a temperature that others do not need: it is taken only if those
fitted without a tenth of the images make that tenth likelier, in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from model.data.batches import SampleReader
from model.data.dataset import Dataset
from model.data.labelled import LabelledSample
from model.data.views import FEW_WINDOWS, View, list_views
from model.labels import IGNORE_LABEL
from model.scoring.images import AnyPredictor

_UNCHANGED = 32
"""Place of the temperature 1."""

TEMPERATURES = 4.0 ** (np.arange(-_UNCHANGED, _UNCHANGED + 1) / _UNCHANGED)
"""Those that are tried, a quarter to 4: one is never further than 2.2 % from any in this range."""

_PARTS = 10
"""Parts of the images that are left out in turn, each image its own where there are fewer."""

_MOST_PIXELS = 2**16
"""Labelled pixels of an image or window that are looked at; more are like these."""


def list_validation(dataset: Dataset) -> list[View]:
    """List the validation images of a folder, and of scenes as many windows as in training."""
    return list_views(dataset.validation, dataset.scenes, FEW_WINDOWS)


def fit_to_validation(
    predictor: AnyPredictor, dataset: Dataset, on_image: Callable[[], None] = lambda: None
) -> float:
    """Fit the temperature of a network to the validation images, never to those for testing.

    Args:
        predictor: of the network.
        dataset: the images.
        on_image: called after each of `list_validation`.

    Returns:
        As `fit_temperature` does.
    """
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_validation(dataset)
    samples = (reader.read_view(view, predictor.halo) for view in views)
    return fit_temperature(predictor, samples, on_image)


def fit_temperature(
    predictor: AnyPredictor,
    samples: Iterable[LabelledSample],
    on_image: Callable[[], None] = lambda: None,
) -> float:
    """Fit the temperature of a network, in one pass and in memory for one image.

    Args:
        predictor: of the network.
        samples: images with labels, of which every labelled valid pixel counts the same.
        on_image: called after each image.

    Returns:
        The one of `TEMPERATURES` with the lowest negative log likelihood, rounded to four digits;
        1 if that of images left out is no lower than with 1, so also for a single image.
    """
    parts = np.zeros((_PARTS, len(TEMPERATURES)))
    for index, sample in enumerate(samples):
        parts[index % _PARTS] += sum_likelihoods(sample.labels, predictor.predict(sample))
        on_image()
    total = parts.sum(axis=0)
    left_out = sum(part[_find_best(total - part)] for part in parts)
    best = TEMPERATURES[_find_best(total)]
    return float(f"{best:.4g}") if left_out < total[_UNCHANGED] else 1.0


def _find_best(sums: NDArray[np.float64]) -> int:
    best = int(np.argmin(sums))  # the place of a NaN, if there is one
    return best if sums[best] < sums[_UNCHANGED] else _UNCHANGED


def sum_likelihoods(labels: NDArray[np.uint8], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sum of the negative log likelihoods of pixels for each of `TEMPERATURES`.

    Args:
        labels: uint8 (H, W), `IGNORE_LABEL` where invalid or unknown.
        logits: float32 (H, W, K).
    """
    places = np.flatnonzero(labels != IGNORE_LABEL)
    chosen = places[:: -(-len(places) // _MOST_PIXELS) or 1]
    if not len(chosen):
        return np.zeros(len(TEMPERATURES))
    values = logits.reshape(-1, logits.shape[-1])[chosen]
    values = values - values.max(axis=1, keepdims=True)
    right = values[np.arange(len(values)), labels.reshape(-1)[chosen]]
    share = len(places) / len(chosen)
    return share * np.array([_sum_one(values, right, 1 / t) for t in TEMPERATURES.tolist()])


def _sum_one(values: NDArray[np.float32], right: NDArray[np.float32], factor: float) -> float:
    powers = np.exp(values * np.float32(factor)).sum(axis=1)
    return float((np.log(powers) - right * np.float32(factor)).sum(dtype=np.float64))
