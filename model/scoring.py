"""How well a network does on images of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.data.crops import lose, pad_together
from model.data.folders import Sample
from model.data.nodata import PATTERNS
from model.labels import IGNORE_LABEL
from model.metrics import class_iou, confusion_matrix
from model.network import NetworkConfig

MAX_WINDOW_PIXELS = 2**20
"""Larger images go through the network in windows; their halo makes the result the same."""

MISSING_FRACTIONS = (0.0, 0.3, 0.6)


@dataclass(frozen=True)
class Result:
    """What a network did on some images.

    Attributes:
        missing: fraction of pixels that were taken out besides.
        confusion: int64 (K, K), labelled valid pixels by true class (rows) and predicted one.
        loss: mean cross-entropy of an image.
    """

    missing: float
    confusion: NDArray[np.int64]
    loss: float

    @property
    def class_iou(self) -> tuple[float, ...]:
        """Intersection over union of each class; NaN for one that does not occur."""
        return tuple(class_iou(self.confusion).tolist())

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur."""
        values = [value for value in self.class_iou if not np.isnan(value)]
        return sum(values) / len(values) if values else 0.0


class Predictor:
    """Runs a network on single images of any size.

    Args:
        network: from `build_network(config)`; its weights may change meanwhile.
        config: its shape.
        max_pixels: of a window.
    """

    def __init__(
        self, network: keras.Model, config: NetworkConfig, max_pixels: int = MAX_WINDOW_PIXELS
    ) -> None:
        def compute(image: Any, mask: Any) -> Any:
            return network([image, mask], training=False)

        self._compute = tf.function(
            compute,
            input_signature=[
                tf.TensorSpec((None, None, None, config.channels), tf.float32),
                tf.TensorSpec((None, None, None, 1), tf.bool),
            ],
            autograph=False,
        )
        self.classes = config.classes
        self._stride = config.total_stride
        self._halo = -(-config.receptive_radius // self._stride) * self._stride
        self._side = max(int(max_pixels**0.5) // self._stride, 1) * self._stride

    def predict(self, sample: Sample) -> NDArray[np.float32]:
        """Give the logits of an image, float32 (H, W, K)."""
        height, width = sample.mask.shape
        if max(height, width) <= self._side:
            return self._run(sample)
        logits = np.empty((height, width, self.classes), np.float32)
        for top in range(0, height, self._side):
            for left in range(0, width, self._side):
                here = np.s_[top : top + self._side, left : left + self._side]
                logits[here] = self._predict_window(sample, top, left)
        return logits

    def _predict_window(self, sample: Sample, top: int, left: int) -> NDArray[np.float32]:
        first = [max(start - self._halo, 0) for start in (top, left)]
        last = [start + self._side + self._halo for start in (top, left)]
        window = sample.move(lambda part: part[first[0] : last[0], first[1] : last[1]])
        rows, columns = (
            slice(start - begin, start - begin + self._side)
            for start, begin in zip((top, left), first, strict=True)
        )
        return self._run(window)[rows, columns]

    def _run(self, sample: Sample) -> NDArray[np.float32]:
        height, width = sample.mask.shape
        batch = pad_together([sample], self._stride)
        logits = self._compute(tf.constant(batch.image), tf.constant(batch.mask))
        return np.asarray(logits)[0, :height, :width]


def score(
    predictor: Predictor,
    samples: Iterable[Sample],
    missing: float = 0.0,
    seed: int = 0,
    on_image: Callable[[], None] = lambda: None,
) -> Result:
    """Score a network on images, more of whose pixels are taken out.

    Args:
        predictor: of the network.
        samples: the images; they take turns with the patterns of missing pixels.
        missing: fraction of pixels to take out.
        seed: of what is taken out.
        on_image: called after each image.
    """
    confusion = np.zeros((predictor.classes, predictor.classes), np.int64)
    losses = []
    for sample in _lose_from_each(samples, missing, seed):
        logits = predictor.predict(sample)
        confusion += confusion_matrix(sample.labels, logits.argmax(axis=-1), predictor.classes)
        loss = _cross_entropy(sample.labels, logits)
        if loss is not None:
            losses.append(loss)
        on_image()
    return Result(missing, confusion, float(np.mean(losses)) if losses else 0.0)


def _lose_from_each(samples: Iterable[Sample], missing: float, seed: int) -> Iterator[Sample]:
    patterns = list(PATTERNS.values())
    for index, sample in enumerate(samples):
        if missing <= 0:
            yield sample
            continue
        rng = np.random.default_rng([seed, index])
        size = (sample.mask.shape[0], sample.mask.shape[1])
        yield lose(sample, patterns[index % len(patterns)](rng, size, missing))


def _cross_entropy(labels: NDArray[np.uint8], logits: NDArray[np.float32]) -> float | None:
    known = labels != IGNORE_LABEL
    if not known.any():
        return None
    values = logits[known].astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    right = np.take_along_axis(values, labels[known][:, None].astype(np.int64), axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(values).sum(axis=1)) - right))


def describe_results(results: Sequence[Result], names: Sequence[str]) -> dict[str, Any]:
    """Give results as a manifest tells them: JSON values, rounded to four digits.

    Args:
        results: one for each fraction of missing pixels.
        names: of the classes.
    """
    keys = [f"missing_{round(result.missing * 100)}" for result in results]
    return {
        "data": "validation images that were held out from training",
        "mean_iou": {
            key: round(result.mean_iou, 4) for key, result in zip(keys, results, strict=True)
        },
        "class_iou": {
            key: {
                name: None if np.isnan(value) else round(value, 4)
                for name, value in zip(names, result.class_iou, strict=True)
            }
            for key, result in zip(keys, results, strict=True)
        },
    }
