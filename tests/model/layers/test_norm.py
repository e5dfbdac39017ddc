import keras
import numpy as np
import pytest
import tensorflow as tf

from model.layers import MaskedBatchNormalization

MOMENTUM = 0.8


def draw(seed, valid=0.6):
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, (4, 6, 7, 5)).astype(np.float32)
    return x, rng.random((4, 6, 7, 1)) < valid


def make_pair(seed=0):
    """Build the layer and Keras' own, with the same weights at random."""
    ours = MaskedBatchNormalization(momentum=MOMENTUM, epsilon=1e-3)
    theirs = keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=1e-3)
    ours.build([(None, None, None, 5), (None, None, None, 1)])
    theirs.build((None, None, None, 5))
    rng = np.random.default_rng(seed)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        values = rng.uniform(0.5, 2, 5)
        getattr(ours, name).assign(values)
        getattr(theirs, name).assign(values)
    return ours, theirs


def assert_same_statistics(ours, theirs):
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            getattr(ours, name).numpy(), getattr(theirs, name).numpy(), rtol=1e-5, atol=1e-5
        )


def test_training_is_keras_batch_normalization_with_a_mask():
    x, mask = draw(1)
    ours, theirs = make_pair()
    expected = theirs(x, training=True, mask=mask[..., 0])
    actual = ours([x, mask], training=True)
    valid = mask[..., 0]
    np.testing.assert_allclose(actual.numpy()[valid], expected.numpy()[valid], rtol=1e-5, atol=1e-5)


def test_moving_averages_are_those_of_keras_after_several_batches():
    ours, theirs = make_pair()
    for seed in range(4):
        x, mask = draw(seed, valid=0.2 + 0.2 * seed)
        theirs(x, training=True, mask=mask[..., 0])
        ours([x, mask], training=True)
        assert_same_statistics(ours, theirs)


def test_inference_is_that_of_keras():
    x, mask = draw(2)
    ours, theirs = make_pair()
    expected = theirs(x, training=False).numpy()
    actual = ours([x, mask], training=False).numpy()
    valid = mask[..., 0]
    np.testing.assert_allclose(actual[valid], expected[valid], rtol=1e-5, atol=1e-5)


def test_the_affine_map_of_inference_is_all_that_inference_does():
    x, _ = draw(3)
    ours, theirs = make_pair()
    scale, offset = (np.asarray(values) for values in ours.inference_affine())
    np.testing.assert_allclose(
        x * scale + offset, theirs(x, training=False).numpy(), rtol=1e-5, atol=1e-5
    )


def test_where_all_is_valid_moments_are_those_of_the_batch():
    x, _ = draw(4)
    ours, _ = make_pair()
    ours.moving_mean.assign(np.zeros(5))
    ours.moving_variance.assign(np.zeros(5))
    ours([x, np.ones((*x.shape[:3], 1), bool)], training=True)
    expected = x.astype(np.float64)
    np.testing.assert_allclose(
        ours.moving_mean.numpy() / (1 - MOMENTUM), expected.mean((0, 1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        ours.moving_variance.numpy() / (1 - MOMENTUM), expected.var((0, 1, 2)), rtol=1e-5
    )


def test_a_batch_without_a_valid_pixel_moves_no_statistic():
    x, mask = draw(5)
    ours, _ = make_pair()
    before = [weight.numpy().copy() for weight in ours.weights]
    y = ours([np.full_like(x, np.nan), np.zeros_like(mask)], training=True)
    assert y.shape == x.shape
    for weight, value in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_statistics_do_not_depend_on_what_stands_under_the_mask():
    x, mask = draw(6)
    ours, _ = make_pair()
    other, _ = make_pair()
    ours([np.where(mask, x, 0).astype(np.float32), mask], training=True)
    other([np.where(mask, x, np.nan).astype(np.float32), mask], training=True)
    for weight, value in zip(ours.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value.numpy())


def test_gradients_in_training_are_those_of_keras():
    x, mask = draw(7)
    weights = np.random.default_rng(7).normal(size=x.shape).astype(np.float32)
    ours, theirs = make_pair()

    def differentiate(layer, call):
        values = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(tf.where(mask, call(values) * weights, 0.0))
        return tape.gradient(loss, [values, layer.gamma.value, layer.beta.value])

    for actual, expected in zip(
        differentiate(ours, lambda values: ours([values, mask], training=True)),
        differentiate(theirs, lambda values: theirs(values, training=True, mask=mask[..., 0])),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_that_is_not_trainable_normalises_with_its_averages_as_in_inference():
    layer = MaskedBatchNormalization(trainable=False)
    x, mask = np.full((1, 2, 2, 1), 5, np.float32), np.ones((1, 2, 2, 1), bool)

    np.testing.assert_array_equal(layer([x, mask], training=True), layer([x, mask]))
    assert not np.asarray(layer.moving_mean).any()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_moments_are_float32_whatever_the_features_are(dtype, training):
    x, mask = draw(5)
    wanted = MaskedBatchNormalization(momentum=MOMENTUM)
    expected = np.where(mask, wanted([x, mask], training=training), 0)

    layer = MaskedBatchNormalization(momentum=MOMENTUM, dtype=dtype)
    y = layer([tf.cast(x, dtype), mask], training=training)

    assert y.dtype == dtype
    assert layer.moving_mean.dtype == layer.moving_variance.dtype == "float32"
    np.testing.assert_allclose(np.where(mask, tf.cast(y, tf.float32), 0), expected, atol=0.05)
    np.testing.assert_allclose(layer.moving_mean, wanted.moving_mean, rtol=0.01)
