"""The same curves on the labelled images of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from model.comparison.curves import FRACTIONS, Curves, count_rounds, draw_curves, place_missing
from model.data.batches import SampleReader
from model.data.crops import remove_pixels
from model.data.dataset import Dataset
from model.data.labelled import LabelledSample
from model.data.views import FEW_WINDOWS, View, list_views
from model.scoring.images import SCORED_DATA, TEST_DATA, AnyPredictor, score_images

_SEED = 1
"""Of the places of missing pixels."""


def measure_folder_curves(
    predictor: AnyPredictor,
    dataset: Dataset,
    halo: int,
    fractions: Sequence[float] = FRACTIONS,
    on_image: Callable[[], None] = lambda: None,
) -> Curves:
    """Score a network on the images for the final score, for every pattern and fraction.

    A pattern has the same place in an image at every fraction, and for every network.

    Args:
        predictor: of the network.
        dataset: the images.
        halo: to read around windows of scenes: the largest of all networks to compare, so that
            pixels are missing in the same places for all.
        fractions: of missing pixels, 0 to 1; the first is 0, where all patterns are the same.
        on_image: called after each image; see `count_curve_images`.

    Raises:
        ValueError: if the first fraction is not 0.
    """
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = _list_scored(dataset)

    def lose(name: str, fraction: float) -> Iterator[LabelledSample]:
        for index, view in enumerate(views):
            sample = reader.read_view(view, halo)
            size = (sample.mask.shape[0], sample.mask.shape[1])
            yield remove_pixels(sample, place_missing(name, size, fraction, _SEED, index))

    def score(name: str, fraction: float) -> float:
        return score_images(predictor, lose(name, fraction), on_image=on_image).mean_iou

    def score_complete() -> float:
        samples = (reader.read_view(view, halo) for view in views)
        return score_images(predictor, samples, on_image=on_image).mean_iou

    return draw_curves(score_complete, score, fractions)


def count_curve_images(dataset: Dataset, fractions: Sequence[float] = FRACTIONS) -> int:
    """Return the number of times that `measure_folder_curves` calls `on_image`."""
    return count_rounds(fractions) * len(_list_scored(dataset))


def describe_scored(dataset: Dataset) -> str:
    """Return a description of the images that are scored."""
    return TEST_DATA if dataset.test else SCORED_DATA


def _list_scored(dataset: Dataset) -> list[View]:
    return list_views(dataset.scored, dataset.scenes, FEW_WINDOWS)
