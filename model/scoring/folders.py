"""The scores of a segmenter on the images of a folder, with what a reader needs to trust them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.batches import SampleReader
from model.data.dataset import Dataset
from model.data.splits import find_group
from model.data.views import FEW_WINDOWS, View, list_views
from model.scoring.images import SCORED_DATA, TEST_DATA, AnyPredictor, score_images
from model.scoring.intervals import Intervals, find_intervals
from model.scoring.pixel_baseline import PixelBaseline
from model.scoring.scores import MISSING_FRACTIONS, Score, describe_scores


class FolderScores(NamedTuple):
    """Scores on the images of a folder.

    Attributes:
        scores: one for each fraction of missing pixels, without further ones first.
        intervals: of the first one.
        groups: score of each group of images, as they are; empty if there is only one.
        baseline: score of single pixels, on the images as they are; None if it is not measured.
        temperature: that logits are divided by at export; None if none was fitted.
    """

    scores: list[Score]
    intervals: Intervals
    groups: Mapping[str, Score]
    baseline: Score | None = None
    temperature: float | None = None


def score_folder(
    predictor: AnyPredictor,
    dataset: Dataset,
    *,
    with_baseline: bool = True,
    temperature: float | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> FolderScores:
    """Score a segmenter on the images for the final score.

    Args:
        predictor: of the segmenter.
        dataset: the images.
        with_baseline: whether to fit and score the baseline of single pixels.
        temperature: from `fit_temperature`; None for none.
        on_image: called after each image and fraction; see `count_images`.
    """
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_views(dataset.scored, dataset.scenes)

    def score(scored: AnyPredictor, fraction: float, temperature: float | None = None) -> Score:
        samples = (reader.read_view(view, scored.halo) for view in views)
        return score_images(
            scored,
            samples,
            fraction,
            on_image=on_image,
            in_detail=not fraction,
            temperature=temperature,
        )

    scores = [score(predictor, fraction, temperature) for fraction in MISSING_FRACTIONS]
    baseline = score(_fit_baseline(dataset, reader), 0.0) if with_baseline else None
    by_image = _sum_by(scores[0].parts, [view.entry.name for view in views])
    return FolderScores(
        scores,
        find_intervals(list(by_image.values())),
        _score_groups(dataset, by_image),
        baseline,
        temperature,
    )


def count_images(dataset: Dataset, *, with_baseline: bool = True) -> int:
    """Return the number of times that `score_folder` calls `on_image`."""
    return len(list_views(dataset.scored, dataset.scenes)) * (
        len(MISSING_FRACTIONS) + with_baseline
    )


def describe_folder_scores(found: FolderScores, dataset: Dataset) -> dict[str, Any]:
    """Return scores as the manifest lists them, with intervals, calibration and baseline."""
    names = [entry.name for entry in dataset.description.classes]
    first = found.scores[0]
    described = describe_scores(found.scores, names, TEST_DATA if dataset.test else SCORED_DATA)
    described["interval_95"] = {
        "mean_iou": _round(found.intervals.mean_iou),
        "class_iou": dict(zip(names, map(_round, found.intervals.class_iou), strict=True)),
    }
    if first.calibration is not None:
        described["calibration_error"] = round(first.calibration.error, 4)
    if found.temperature is not None and first.untempered is not None:
        described["calibration_error_untempered"] = round(first.untempered.error, 4)
        described["temperature"] = found.temperature
    if found.baseline is not None:
        described["pixel_baseline"] = {"mean_iou": round(found.baseline.mean_iou, 4)}
    if found.groups:
        described["groups"] = {
            name: round(score.mean_iou, 4) for name, score in found.groups.items()
        }
    return described


def _fit_baseline(dataset: Dataset, reader: SampleReader) -> PixelBaseline:
    views: Sequence[View] = list_views(dataset.training, dataset.scenes, FEW_WINDOWS)
    return PixelBaseline(
        (reader.read_view(view, 0) for view in views),
        len(dataset.description.classes),
        dataset.normalization,
    )


def _score_groups(dataset: Dataset, by_image: Mapping[str, NDArray[np.int64]]) -> dict[str, Score]:
    if dataset.description.group is None:
        return {}
    groups = [find_group(name, dataset.description) for name in by_image]
    summed = _sum_by(list(by_image.values()), groups)
    return {name: Score(0.0, summed[name]) for name in sorted(summed)} if len(summed) > 1 else {}


def _sum_by(
    parts: Sequence[NDArray[np.int64]], names: Sequence[str]
) -> dict[str, NDArray[np.int64]]:
    """Return the sum of the parts of each name."""
    sums: dict[str, NDArray[np.int64]] = {}
    for part, name in zip(parts, names, strict=True):
        sums[name] = sums[name] + part if name in sums else part
    return sums


def _round(interval: tuple[float, float]) -> list[float] | None:
    return None if np.isnan(interval[0]) else [round(value, 4) for value in interval]
