import itertools

import numpy as np
import pytest

from model.comparison.curves import place_missing
from model.comparison.folder_curves import count_curve_images, measure_folder_curves
from model.data.folders import read_dataset
from model.data.nodata import PATTERNS_TO_COMPARE
from model.labels import IGNORE_LABEL
from tests.support.folders import write_folder

FRACTIONS = (0.0, 0.3, 0.6)
ROUNDS = 1 + len(PATTERNS_TO_COMPARE) * 2


class Oracle:
    """Always says the first class, and keeps what it is shown."""

    classes, halo = 2, 0

    def __init__(self):
        self.seen = []

    def predict(self, sample):
        self.seen.append(sample)
        return np.zeros((*sample.mask.shape, 2), np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("curves") / "data", side=40)
    (folder / "train.txt").write_text("scene00\nscene02\n")
    (folder / "validation.txt").write_text("scene01\nscene04\n")
    (folder / "test.txt").write_text("scene03\nscene05\nscene06\n")
    return read_dataset(folder)


@pytest.fixture(scope="module")
def measured(dataset):
    """Curves, the number of calls, and what was scored in each round: complete images first."""
    oracle, calls = Oracle(), []
    curves = measure_folder_curves(
        dataset=dataset,
        predictor=oracle,
        halo=0,
        fractions=FRACTIONS,
        on_image=lambda: calls.append(1),
    )
    count = len(oracle.seen) // ROUNDS
    rounds = [oracle.seen[start : start + count] for start in range(0, len(oracle.seen), count)]
    return curves, len(calls), rounds


def test_there_is_a_value_for_every_pattern_and_fraction(measured):
    curves, _, _ = measured

    assert list(curves) == ["clouds", "stripes", "swath", "dead_pixels", "padding"]
    assert all(len(values) == len(FRACTIONS) for values in curves.values())
    assert len({values[0] for values in curves.values()}) == 1


def test_the_test_images_are_scored_as_often_as_progress_is_told(measured, dataset):
    _, calls, rounds = measured

    assert calls == count_curve_images(dataset, FRACTIONS) == 3 * ROUNDS
    assert [sample.mask.shape for sample in rounds[0]] == [
        dataset.sizes[entry.name] for entry in dataset.test
    ]


def test_missing_pixels_are_taken_from_the_valid_ones_in_the_places_of_the_pattern(measured):
    _, _, rounds = measured
    plan = [(name, fraction) for name in PATTERNS_TO_COMPARE for fraction in FRACTIONS[1:]]

    assert not all(sample.mask.all() for sample in rounds[0])
    for (name, fraction), samples in zip(plan, rounds[1:], strict=True):
        for index, (whole, sample) in enumerate(zip(rounds[0], samples, strict=True)):
            missing = place_missing(name, whole.mask.shape, fraction, 1, index)
            np.testing.assert_array_equal(sample.mask, whole.mask & ~missing)


def test_pixels_that_are_missing_at_one_fraction_are_at_a_larger_one(measured):
    _, _, rounds = measured
    for place, name in enumerate(PATTERNS_TO_COMPARE):
        if name in ("clouds", "stripes", "swath"):
            fewer, more = rounds[1 + 2 * place : 3 + 2 * place]
            for one, other in zip(fewer, more, strict=True):
                assert not (other.mask & ~one.mask).any()


def test_a_value_is_the_mean_iou_of_all_valid_labelled_pixels(measured):
    curves, _, rounds = measured
    for place, values in enumerate(curves.values()):
        for column, samples in enumerate([rounds[0], *rounds[1 + 2 * place : 3 + 2 * place]]):
            labels = np.concatenate([sample.labels.ravel() for sample in samples])
            known = labels[labels != IGNORE_LABEL]
            # All is called the first class: its IoU is its share, and that of the other is 0.
            assert values[column] == pytest.approx((known == 0).mean() / 2)


def test_another_network_loses_the_same_pixels(measured, dataset):
    _, _, rounds = measured
    oracle = Oracle()
    measure_folder_curves(oracle, dataset, 0, FRACTIONS)

    for one, other in zip(itertools.chain(*rounds), oracle.seen, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
