"""A baseline that sees single pixels: logistic regression on their values, squares and products.

A network that is not better has learnt nothing from what surrounds a pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model.data.labelled import LabelledSample
from model.data.normalization import Normalization
from model.labels import IGNORE_LABEL

_PIXELS = 400
"""Most labelled pixels of each image that it is fitted to."""

_SEED = 0
_DECAY = 1e-4
_ITERATIONS = 200
_MOST_CHANNELS = 12
"""Most channels whose squares and products are taken too."""


class PixelBaseline:
    """Logistic regression on single pixels, with the interface of `Predictor`.

    Args:
        samples: training images.
        classes: number of classes.
        normalization: of their channels.
    """

    halo = 0

    def __init__(
        self,
        samples: Iterable[LabelledSample],
        classes: int,
        normalization: Normalization,
    ) -> None:
        self.classes, self._normalization = classes, normalization
        rng = np.random.default_rng(_SEED)
        chosen = [self._choose(rng, sample) for sample in samples]
        values = self._describe(np.concatenate([part for part, _ in chosen]))
        labels = np.concatenate([part for _, part in chosen])
        self._weights = _fit(values, labels, classes)

    def predict(self, sample: LabelledSample) -> NDArray[np.float32]:
        """Return the logits of an image, float32 (H, W, K)."""
        rows = [self._describe(row) @ self._weights for row in sample.image]
        return np.stack(rows).astype(np.float32)

    def _choose(
        self, rng: np.random.Generator, sample: LabelledSample
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        places = np.flatnonzero(sample.labels != IGNORE_LABEL)
        places = rng.choice(places, min(_PIXELS, len(places)), replace=False)
        return sample.image.reshape(-1, sample.image.shape[2])[places], sample.labels.flat[places]

    def _describe(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Return the features (n, F) of pixels (n, C)."""
        means, scales = self._normalization
        x = (pixels.astype(np.float64) - means) / scales
        parts = [np.ones((len(x), 1)), x]
        if x.shape[1] <= _MOST_CHANNELS:
            first, second = np.triu_indices(x.shape[1])
            parts.append(x[:, first] * x[:, second])
        return np.clip(np.concatenate(parts, axis=1), -100, 100)


def _fit(values: NDArray[np.float64], labels: NDArray[np.uint8], classes: int) -> NDArray[Any]:
    """Return the weights (F, K) of the least cross-entropy, with a little decay."""
    truth = np.eye(classes)[labels]

    def measure(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(-1, classes)
        logits = values @ weights
        logits -= logits.max(axis=1, keepdims=True)
        sums = np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss = (sums[:, 0] - (logits * truth).sum(axis=1)).mean() + _DECAY * (flat @ flat)
        slope = values.T @ (np.exp(logits - sums) - truth) / len(values) + 2 * _DECAY * weights
        return float(loss), slope.ravel()

    start = np.zeros(values.shape[1] * classes)
    found = minimize(measure, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return np.asarray(found.x).reshape(-1, classes)
