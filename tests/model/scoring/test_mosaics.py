import numpy as np
import pytest

from model.scoring.mosaics import EvaluationConfig, count_batches, score_on_mosaics

CONFIG = EvaluationConfig(mosaics=3, size=(32, 40), batch_size=5)


class Oracle:
    """Knows the class of a pixel by what it is told to answer."""

    def __init__(self, answer):
        self.answer = answer
        self.masks = []

    def predict_on_batch(self, inputs):
        _, masks = inputs
        self.masks.append(masks)
        logits = np.zeros((*masks.shape[:3], 3), np.float32)
        logits[..., self.answer] = 1
        return logits


def test_a_network_that_always_says_grass_scores_as_much_as_there_is_grass():
    score, *_ = score_on_mosaics(Oracle(0), CONFIG)

    assert 0 < score.class_iou[0] < 1
    assert score.class_iou[1:] == (0, 0)
    assert score.mean_iou == pytest.approx(score.class_iou[0] / 3)


def test_more_pixels_are_missing_at_a_larger_fraction():
    oracle = Oracle(0)
    score_on_mosaics(oracle, CONFIG)
    rows = np.split(np.concatenate(oracle.masks), 3)

    assert rows[0].all()
    assert rows[1].mean() == pytest.approx(0.7, abs=0.08)
    assert rows[2].mean() == pytest.approx(0.4, abs=0.08)


def test_progress_is_told_once_a_batch():
    calls = []
    score_on_mosaics(Oracle(0), CONFIG, on_batch=lambda: calls.append(1))

    assert len(calls) == count_batches(CONFIG) == 9


def test_the_same_seed_gives_the_same_scores():
    first, again = (score_on_mosaics(Oracle(1), CONFIG) for _ in range(2))

    assert [score.missing for score in first] == [score.missing for score in again]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.confusion, other.confusion)
