"""Intervals, calibration and the baseline of single pixels."""

import numpy as np
import pytest
from scipy import stats

from model.data.labelled import LabelledSample
from model.data.normalization import Normalization
from model.scoring.calibration import NO_CALIBRATION, measure_calibration
from model.scoring.intervals import find_intervals
from model.scoring.pixel_baseline import PixelBaseline
from model.scoring.scores import Score


def draw_parts(count, seed=0):
    rng = np.random.default_rng(seed)
    right = rng.integers(60, 100, count)
    return [np.array([[n, 100 - n, 0], [100 - n, n, 0], [0, 0, 0]]) for n in right]


def test_the_interval_is_that_of_a_bootstrap_over_images_by_scipy():
    parts = draw_parts(20)

    def mean_iou(places):
        total = sum(parts[place] for place in places)
        return total[0, 0] / (total[0, 0] + 2 * total[0, 1])

    expected = stats.bootstrap(
        (np.arange(20),), mean_iou, n_resamples=2000, method="percentile", vectorized=False, rng=1
    ).confidence_interval
    found = find_intervals(parts)

    assert found.mean_iou == pytest.approx(tuple(expected), abs=0.01)
    assert found.class_iou[0] == found.class_iou[1] == pytest.approx(found.mean_iou)
    assert np.isnan(found.class_iou[2]).all()


def test_one_image_has_no_spread():
    ((low, high), _) = find_intervals(draw_parts(1))

    assert low == high


def test_calibration_compares_confidence_with_accuracy():
    probabilities = np.array([[[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.3, 0.7]]])
    labels = np.array([[0, 1, 1, 255]], np.uint8)
    found = measure_calibration(labels, np.log(probabilities) + 3)

    assert found.pixels.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert found.right.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 1]
    assert found.error == pytest.approx((abs(1.9 - 1) + abs(0.6 - 1)) / 3)
    assert found.add(NO_CALIBRATION).error == found.error
    assert measure_calibration(np.full((1, 1), 255, np.uint8), np.zeros((1, 1, 2))).error == 0


def test_precision_and_recall_are_of_columns_and_rows():
    score = Score(0.0, np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))

    assert score.class_recall[:2] == (0.75, 0.75)
    assert score.class_precision[:2] == (pytest.approx(6 / 7), 0.6)
    assert np.isnan([score.class_recall[2], score.class_precision[2]]).all()


def test_single_pixels_tell_classes_that_their_values_do_and_no_others():
    rng = np.random.default_rng(0)
    values = rng.normal((2000, -3), (500, 1), (40, 50, 2)).astype(np.float32)
    ring = (values[..., 0] - 2000) ** 2 / 500**2 + (values[..., 1] + 3) ** 2
    by_value = (ring > 1.2).astype(np.uint8)
    by_chance = rng.integers(0, 2, (40, 50)).astype(np.uint8)
    normalization = Normalization((2000.0, -3.0), (500.0, 1.0))
    for truth, low, high in ((by_value, 0.95, 1), (by_chance, 0, 0.6)):
        labels = np.where(rng.random(truth.shape) < 0.9, truth, 255).astype(np.uint8)
        sample = LabelledSample(values, labels != 255, labels)
        baseline = PixelBaseline([sample, sample], 2, normalization)
        known = labels != 255
        right = (baseline.predict(sample).argmax(axis=-1) == labels)[known].mean()

        assert low < right <= high
