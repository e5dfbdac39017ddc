import keras
import numpy as np
import pytest
import tensorflow as tf

from model.losses import MaskedCrossEntropy
from tests.support.references import masked_cross_entropy


def draw(n=3, height=5, width=6, classes=4, known=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (n, height, width)).astype(np.uint8)
    labels[rng.random(labels.shape) > known] = 255
    return labels, rng.normal(0, 3, (n, height, width, classes)).astype(np.float32)


def differentiate(labels, logits):
    values = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = MaskedCrossEntropy()(labels, values)
    return float(loss), tape.gradient(loss, values).numpy()


@pytest.mark.parametrize("known", [0.0, 0.1, 0.6, 1.0])
def test_the_loss_is_that_of_the_reference(known):
    labels, logits = draw(known=known)
    expected = masked_cross_entropy(labels, logits)
    assert float(MaskedCrossEntropy()(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_logits_under_ignored_pixels_change_nothing_and_have_gradient_zero(value):
    labels, logits = draw()
    ignored = labels == 255
    expected, _ = differentiate(labels, logits)
    logits[ignored] = value
    loss, gradient = differentiate(labels, logits)
    assert loss == expected
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[ignored], 0)
    assert np.all(np.any(gradient[~ignored], axis=-1))


def test_the_gradient_is_softmax_less_truth_over_the_pixels_of_each_image():
    labels, logits = draw()
    _, gradient = differentiate(labels, logits)
    known = labels != 255
    power = np.exp(logits.astype(np.float64))
    expected = power / power.sum(axis=-1, keepdims=True) - np.eye(4)[np.where(known, labels, 0)]
    pixels = known.sum(axis=(1, 2))[:, None, None, None]
    expected = np.where(known[..., None], expected / pixels / len(labels), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_nothing_labelled_gives_a_loss_and_a_gradient_of_zero():
    labels, logits = draw(known=0.0)
    loss, gradient = differentiate(labels, np.full_like(logits, np.nan))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_an_image_without_a_labelled_pixel_does_not_count():
    labels, logits = draw()
    labels[1] = 255
    both = MaskedCrossEntropy()(labels, logits)
    assert float(both) == pytest.approx(
        float(MaskedCrossEntropy()(labels[[0, 2]], logits[[0, 2]])), rel=1e-6
    )


def test_images_count_alike_however_few_of_their_pixels_are_valid():
    labels, logits = draw(n=2, known=1.0)
    labels[1] = 255
    labels[1, 0, 0] = 0
    separate = [float(MaskedCrossEntropy()(labels[[i]], logits[[i]])) for i in range(2)]
    assert float(MaskedCrossEntropy()(labels, logits)) == pytest.approx(np.mean(separate), rel=1e-5)


def test_a_canvas_of_ignored_pixels_does_not_change_the_loss():
    labels, logits = draw()
    expected = float(MaskedCrossEntropy()(labels, logits))
    around = [(0, 0), (0, 3), (0, 7)]
    padded = np.pad(logits, [*around, (0, 0)], constant_values=np.nan)
    actual = float(MaskedCrossEntropy()(np.pad(labels, around, constant_values=255), padded))
    assert actual == pytest.approx(expected, rel=1e-6)


def test_the_loss_survives_serialisation():
    loss = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(MaskedCrossEntropy(name="a_name"))
    )
    assert isinstance(loss, MaskedCrossEntropy)
    assert loss.name == "a_name"
