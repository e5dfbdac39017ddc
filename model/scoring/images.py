"""Scoring a network on the images of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.data.crops import remove_pixels
from model.data.labelled import LabelledSample
from model.data.nodata import PATTERNS
from model.labels import IGNORE_LABEL
from model.metrics import confusion_matrix
from model.scoring.calibration import NO_CALIBRATION, measure_calibration
from model.scoring.scores import Score

_SEED = 0
"""Of the pixels that are taken out."""

SCORED_DATA = "validation images that were held out from training"
"""Description of the images, for the manifest."""

TEST_DATA = "test images, by which nothing was chosen"
"""The same where a data set has a third part."""


def score_images(
    predictor: AnyPredictor,
    samples: Iterable[LabelledSample],
    missing: float = 0.0,
    on_image: Callable[[], None] = lambda: None,
    *,
    in_detail: bool = False,
    temperature: float | None = None,
) -> Score:
    """Score a network on images with a fraction of their pixels taken out.

    Args:
        predictor: of the network.
        samples: the images; each takes the next of the patterns of missing pixels in turn.
        missing: fraction of pixels to take out.
        on_image: called after each image.
        in_detail: whether to keep the confusion of each image, and to measure the calibration.
        temperature: to divide the logits by for the calibration; None for none.
    """
    confusion = np.zeros((predictor.classes, predictor.classes), np.int64)
    losses, parts, calibration, untempered = [], [], NO_CALIBRATION, NO_CALIBRATION
    for sample in _lose_from_each(samples, missing):
        logits = predictor.predict(sample)
        found = confusion_matrix(sample.labels, logits.argmax(axis=-1), predictor.classes)
        confusion += found
        if in_detail:
            parts.append(found)
            tempered = logits / np.float32(temperature or 1)
            calibration = calibration.add(measure_calibration(sample.labels, tempered))
            if temperature is not None:
                untempered = untempered.add(measure_calibration(sample.labels, logits))
        loss = _cross_entropy(sample.labels, logits)
        if loss is not None:
            losses.append(loss)
        on_image()
    loss = float(np.mean(losses)) if losses else 0.0
    return Score(
        missing,
        confusion,
        loss,
        tuple(parts),
        calibration if in_detail else None,
        None if temperature is None or not in_detail else untempered,
    )


class AnyPredictor(Protocol):
    """A segmenter of single images.

    Attributes:
        classes: number of classes.
        halo: pixels around a window that its outputs may depend on.
    """

    classes: int
    halo: int

    def predict(self, sample: LabelledSample) -> NDArray[np.float32]:
        """Return the logits of an image, float32 (H, W, K)."""


def _lose_from_each(samples: Iterable[LabelledSample], missing: float) -> Iterator[LabelledSample]:
    patterns = list(PATTERNS.values())
    for index, sample in enumerate(samples):
        if missing <= 0:
            yield sample
            continue
        rng = np.random.default_rng([_SEED, index])
        size = (sample.mask.shape[0], sample.mask.shape[1])
        yield remove_pixels(sample, patterns[index % len(patterns)](rng, size, missing))


def _cross_entropy(labels: NDArray[np.uint8], logits: NDArray[np.float32]) -> float | None:
    known = labels != IGNORE_LABEL
    if not known.any():
        return None
    values = logits[known].astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    right = np.take_along_axis(values, labels[known][:, None].astype(np.int64), axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(values).sum(axis=1)) - right))
