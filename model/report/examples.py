"""Choice of example images for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from model.data.batches import SampleReader
from model.data.crops import remove_pixels
from model.data.labelled import LabelledSample
from model.data.nodata import draw_missing
from model.data.views import View
from model.labels import IGNORE_LABEL
from model.metrics import confusion_matrix
from model.report.page import Example
from model.scoring.prediction import Predictor

_COUNT = 6
_MISSING = 0.3
_SEED = 0


def choose_examples(
    predictor: Predictor,
    views: Sequence[View],
    confusions: Sequence[NDArray[np.int64]],
    reader: SampleReader,
) -> list[Example]:
    """Choose a few images evenly from the worst to the best; every other one loses pixels.

    Args:
        predictor: of the network.
        views: to choose from.
        confusions: of the views as they are, int64 (K, K) each; see `confusion_matrix`.
        reader: reads them.
    """
    order = np.argsort([_find_accuracy(confusion) for confusion in confusions], kind="stable")
    places = np.linspace(0, len(order) - 1, min(_COUNT, len(order))).round().astype(int)
    chosen = [views[index] for index in order[places]]
    samples = [reader.read_view(view, predictor.halo) for view in chosen]
    return [
        _show(predictor, view, sample, remark)
        for view, (sample, remark) in zip(chosen, _vary(samples), strict=True)
    ]


def _find_accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the fraction of labelled pixels that are correct, 0 if there are none."""
    return float(np.trace(confusion) / max(int(confusion.sum()), 1))


def _vary(samples: Sequence[LabelledSample]) -> Iterator[tuple[LabelledSample, str]]:
    for index, sample in enumerate(samples):
        if index % 2 == 0:
            yield sample, "as it is"
            continue
        rng = np.random.default_rng([_SEED, index])
        size = (sample.mask.shape[0], sample.mask.shape[1])
        yield remove_pixels(sample, draw_missing(rng, size, _MISSING)), f"{_MISSING:.0%} taken out"


def _show(predictor: Predictor, view: View, sample: LabelledSample, remark: str) -> Example:
    predicted = predictor.predict(sample).argmax(axis=-1).astype(np.uint8)
    right = _find_accuracy(confusion_matrix(sample.labels, predicted, predictor.classes))
    shown = np.where(sample.mask, predicted, np.uint8(IGNORE_LABEL))
    return Example(view.name, f"{remark}, {right:.1%} correct", sample, shown)
