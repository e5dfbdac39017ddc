import numpy as np
import pytest

from model.data.folders import LabelledSample
from model.scoring.images import score_images


class Oracle:
    """Always says the same class."""

    classes = 3

    def __init__(self, answer):
        self.answer = answer
        self.seen = []

    def predict(self, sample):
        self.seen.append(sample)
        logits = np.zeros((*sample.mask.shape, 3), np.float32)
        logits[..., self.answer] = np.log(2)
        return logits


def make_sample(height, width, seed=0):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < 0.7
    image = np.where(mask[..., None], rng.integers(0, 255, (height, width, 2)), 0)
    labels = np.where(mask, rng.integers(0, 3, (height, width)), 255)
    return LabelledSample(image.astype(np.uint8), mask, labels.astype(np.uint8))


def test_pixels_are_counted_by_true_and_predicted_class():
    labels = np.array([[0, 0, 1], [2, 255, 1]], np.uint8)
    sample = LabelledSample(np.ones((2, 3, 2), np.uint8), labels != 255, labels)
    result = score_images(Oracle(1), [sample, sample])

    assert result.confusion.tolist() == [[0, 4, 0], [0, 4, 0], [0, 2, 0]]
    assert result.class_iou == (0, pytest.approx(0.4), 0)
    assert result.mean_iou == pytest.approx(0.4 / 3)
    # Two of five pixels had probability 1/2, the others 1/4.
    assert result.loss == pytest.approx((2 * np.log(2) + 3 * np.log(4)) / 5)


def test_as_many_pixels_are_taken_out_as_is_said():
    oracle = Oracle(0)
    samples = [make_sample(60, 60, seed) for seed in range(8)]
    score_images(oracle, samples, missing=0.6)

    left = [
        seen.mask.sum() / given.mask.sum() for seen, given in zip(oracle.seen, samples, strict=True)
    ]
    assert np.mean(left) == pytest.approx(0.4, abs=0.08)


def test_the_same_seed_takes_out_the_same():
    samples = [make_sample(20, 20, seed) for seed in range(4)]
    first, again = (score_images(Oracle(0), samples, 0.5).confusion for _ in range(2))

    np.testing.assert_array_equal(first, again)


def test_images_of_which_nothing_is_left_do_not_count():
    result = score_images(Oracle(0), [make_sample(4, 4)], missing=1.0)

    assert (result.loss, result.mean_iou) == (0, 0)
