"""Choice of example images for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from model.data.batches import SampleReader
from model.data.crops import remove_pixels
from model.data.labelled import LabelledSample
from model.data.nodata import draw_missing
from model.data.views import View
from model.labels import IGNORE_LABEL
from model.report.page import Example
from model.scoring.prediction import Predictor

_COUNT = 6
_MISSING = 0.3


def choose_examples(
    predictor: Predictor, views: Sequence[View], reader: SampleReader, seed: int = 0
) -> list[Example]:
    """Choose a few images evenly from the worst to the best; every other one loses pixels.

    Args:
        predictor: of the network.
        views: to choose from.
        reader: reads them.
        seed: of the pixels to lose.
    """

    def read(view: View) -> LabelledSample:
        return reader.read_view(view, predictor.halo)

    ranked = sorted(views, key=lambda view: _show(predictor, view, read(view), "")[1])
    places = np.linspace(0, len(ranked) - 1, min(_COUNT, len(ranked))).round().astype(int)
    return [
        _show(predictor, ranked[place], sample, remark)[0]
        for place, (sample, remark) in zip(
            places, _vary([read(ranked[place]) for place in places], seed), strict=True
        )
    ]


def _vary(samples: Sequence[LabelledSample], seed: int) -> Iterator[tuple[LabelledSample, str]]:
    for index, sample in enumerate(samples):
        if index % 2 == 0:
            yield sample, "as it is"
            continue
        rng = np.random.default_rng([seed, index])
        size = (sample.mask.shape[0], sample.mask.shape[1])
        yield remove_pixels(sample, draw_missing(rng, size, _MISSING)), f"{_MISSING:.0%} taken out"


def _show(
    predictor: Predictor, view: View, sample: LabelledSample, remark: str
) -> tuple[Example, float]:
    """Return an example, and the fraction of its labelled pixels that are correct."""
    predicted = predictor.predict(sample).argmax(axis=-1).astype(np.uint8)
    known = sample.labels != IGNORE_LABEL
    right = float((predicted == sample.labels)[known].mean()) if known.any() else 0.0
    shown = np.where(sample.mask, predicted, np.uint8(IGNORE_LABEL))
    return Example(view.name, f"{remark}, {right:.1%} correct", sample, shown), right
