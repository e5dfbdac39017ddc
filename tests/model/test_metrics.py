import keras
import numpy as np
import pytest

from model.metrics import MaskedMeanIoU, class_iou, confusion_matrix
from tests.support.references import count_pairs, mean_iou


def draw(n=3, classes=4, known=0.7, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (n, 6, 5)).astype(np.uint8)
    labels[rng.random(labels.shape) > known] = 255
    scores = rng.normal(size=(n, 6, 5, classes)).astype(np.float32)
    return labels, scores


def score(*batches, classes=4):
    metric = MaskedMeanIoU(classes)
    for labels, scores in batches:
        metric.update_state(labels, scores)
    return metric


def test_the_metric_is_the_mean_of_intersection_over_union():
    labels, scores = draw()
    expected = mean_iou(labels, scores.argmax(-1), 4)
    assert float(score((labels, scores)).result()) == pytest.approx(expected, rel=1e-6)


def test_batches_are_gathered_as_one_and_their_order_does_not_matter():
    batches = [draw(seed=seed, known=0.3 * seed + 0.1) for seed in range(3)]
    labels = np.concatenate([labels for labels, _ in batches])
    predicted = np.concatenate([scores.argmax(-1) for _, scores in batches])
    expected = mean_iou(labels, predicted, 4)
    assert float(score(*batches).result()) == pytest.approx(expected, rel=1e-6)
    assert float(score(*batches[::-1]).result()) == pytest.approx(expected, rel=1e-6)


def test_the_metric_counts_pairs_of_true_and_predicted_class():
    labels, scores = draw()
    np.testing.assert_array_equal(
        score((labels, scores)).confusion.numpy(), count_pairs(labels, scores.argmax(-1), 4)
    )


def test_nan_under_ignored_pixels_changes_nothing():
    labels, scores = draw()
    expected = float(score((labels, scores)).result())
    scores[labels == 255] = np.nan
    assert float(score((labels, scores)).result()) == expected


def test_a_class_that_does_not_occur_does_not_count():
    labels, scores = draw(classes=4)
    labels[labels == 3] = 255
    scores[..., 3] = -np.inf
    expected = mean_iou(labels, scores.argmax(-1), 3)
    assert float(score((labels, scores)).result()) == pytest.approx(expected, rel=1e-6)


def test_a_class_that_is_only_predicted_counts_as_zero():
    labels = np.array([[[0, 0]]])
    scores = np.eye(3)[[[[0, 1]]]]
    assert float(score((labels, scores), classes=3).result()) == pytest.approx((0.5 + 0) / 2)


def test_nothing_labelled_scores_zero():
    assert float(score(draw(known=0.0)).result()) == 0


def test_a_reset_metric_has_forgotten():
    metric = score(draw(seed=1))
    metric.reset_state()
    labels, scores = draw(seed=2)
    metric.update_state(labels, scores)
    assert float(metric.result()) == float(score((labels, scores)).result())


def test_weights_are_refused():
    labels, scores = draw()
    with pytest.raises(ValueError, match="ignore label"):
        MaskedMeanIoU(4).update_state(labels, scores, sample_weight=np.ones(labels.shape))


def test_the_metric_survives_serialisation():
    metric = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(MaskedMeanIoU(7, name="a_name"))
    )
    assert (metric.classes, metric.name) == (7, "a_name")


def test_the_confusion_matrix_counts_labelled_pixels_by_true_and_predicted_class():
    labels, scores = draw()
    predicted = scores.argmax(-1).astype(np.uint8)
    actual = confusion_matrix(labels, predicted, 4)
    np.testing.assert_array_equal(actual, count_pairs(labels, predicted, 4))
    assert actual.dtype == np.int64


def test_the_confusion_matrix_of_many_classes_does_not_overflow_its_labels():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 255, (2, 500)).astype(np.uint8)
    np.testing.assert_array_equal(
        confusion_matrix(truth, predicted, 255), count_pairs(truth, predicted, 255)
    )


def test_the_iou_of_a_class_that_does_not_occur_is_nan():
    confusion = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    np.testing.assert_allclose(class_iou(confusion), [3 / 6, 4 / 7, np.nan])
