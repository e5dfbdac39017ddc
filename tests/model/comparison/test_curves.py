import numpy as np
import pytest

from model.comparison.curves import count_curve_batches, measure_curves
from model.data.nodata import PATTERNS_TO_COMPARE
from model.scoring.mosaics import EvaluationConfig

CONFIG = EvaluationConfig(mosaics=4, size=(32, 40), batch_size=3)
FRACTIONS = (0.0, 0.2, 0.6)


class Oracle:
    """Always says the first class, and keeps what it is shown."""

    def __init__(self):
        self.images, self.masks = [], []

    def predict_on_batch(self, inputs):
        images, masks = inputs
        self.images.append(images)
        self.masks.append(masks)
        logits = np.zeros((*masks.shape[:3], 3), np.float32)
        logits[..., 0] = 1
        return logits


@pytest.fixture(scope="module")
def measured():
    """Curves, and the scenes' images and masks: complete first, then by pattern and fraction."""
    oracle = Oracle()
    curves = measure_curves(oracle, CONFIG, FRACTIONS)
    shape = (-1, CONFIG.mosaics, *CONFIG.size)
    images, masks = (np.concatenate(part) for part in (oracle.images, oracle.masks))
    return curves, images.reshape(*shape, 3), masks.reshape(shape)


def test_there_is_a_value_for_every_pattern_and_fraction(measured):
    curves, _, _ = measured

    assert list(curves) == ["clouds", "stripes", "swath", "dead_pixels", "padding"]
    assert all(len(values) == len(FRACTIONS) for values in curves.values())


def test_complete_images_are_scored_once_for_all_patterns(measured):
    curves, _, masks = measured

    assert masks[0].all()
    assert len(masks) == 1 + len(PATTERNS_TO_COMPARE) * 2
    assert len({values[0] for values in curves.values()}) == 1
    assert len({values[1] for values in curves.values()}) > 1


def test_every_pattern_and_fraction_is_tried_on_the_same_images(measured):
    _, images, masks = measured

    for image, mask in zip(images[1:], masks[1:], strict=True):
        np.testing.assert_array_equal(image[mask], images[0][mask])


def test_as_much_is_missing_as_is_said(measured):
    _, _, masks = measured
    valid = masks[1:].reshape(len(PATTERNS_TO_COMPARE), 2, -1).mean(axis=-1)

    np.testing.assert_allclose(valid.mean(axis=0), [0.8, 0.4], atol=0.05)


def test_pixels_that_are_missing_at_one_fraction_are_at_a_larger_one(measured):
    _, _, masks = measured
    for name, (fewer, more) in zip(
        PATTERNS_TO_COMPARE, masks[1:].reshape(-1, 2, *masks.shape[1:]), strict=True
    ):
        if name in ("clouds", "stripes", "swath"):
            assert not (more & ~fewer).any()


def test_progress_is_told_once_a_batch():
    calls = []
    measure_curves(Oracle(), CONFIG, FRACTIONS, on_batch=lambda: calls.append(1))

    assert len(calls) == count_curve_batches(CONFIG, FRACTIONS) == 22


def test_fractions_that_do_not_begin_with_0_are_refused():
    with pytest.raises(ValueError, match=r"must begin with 0\. Received"):
        measure_curves(Oracle(), CONFIG, (0.1, 0.2))
