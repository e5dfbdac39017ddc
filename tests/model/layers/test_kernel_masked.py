import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate

from model.layers import KernelMaskedConv2D, PartialConv2D

CAUSAL = [[1, 1, 1], [1, 0, 0], [0, 0, 0]]


def draw(channels=3, valid=0.6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 12, channels)).astype(np.float32)
    return x, rng.random((2, 9, 12, 1)) < valid


def train(layer, x, mask, steps=3):
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer([x, mask])[0] ** 2) + sum(layer.losses)
        weights = layer.trainable_weights
        optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)


def test_a_kernel_mask_of_ones_is_a_partial_convolution():
    x, mask = draw()
    full, layer = PartialConv2D(4, 3), KernelMaskedConv2D(4, np.ones((3, 3)))
    expected, _ = full([x, mask])
    layer.build([x.shape, mask.shape])
    layer.set_weights(full.get_weights())
    np.testing.assert_array_equal(layer([x, mask])[0], expected)


@pytest.mark.parametrize("normalization", ["none", "mean", "area", "variance"])
def test_one_mask_for_all_channels_and_filters_may_be_written_out(normalization):
    x, mask = draw()
    layers = [
        KernelMaskedConv2D(
            4,
            taps,
            normalization=normalization,
            kernel_initializer=keras.initializers.HeNormal(seed=0),
        )
        for taps in (CAUSAL, np.broadcast_to(np.reshape(CAUSAL, (3, 3, 1, 1)), (3, 3, 3, 4)))
    ]
    one, other = (layer([x, mask])[0] for layer in layers)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_numerator_and_denominator_are_scipys_correlations_with_the_masked_kernel():
    x, mask = draw(channels=1)
    layer = KernelMaskedConv2D(1, CAUSAL, normalization="mean", mask_update="any", use_bias=False)
    y, updated = layer([x, mask])
    known, valid = np.where(mask, x, 0)[0, :, :, 0], mask[0, :, :, 0].astype(float)
    options = {"mode": "constant", "cval": 0}
    total = correlate(known, layer.kernel.numpy()[:, :, 0, 0] * CAUSAL, **options)
    count = correlate(valid, np.array(CAUSAL, float), **options)
    np.testing.assert_array_equal(updated[0, :, :, 0], count > 0)
    np.testing.assert_allclose(y[0, :, :, 0], total / np.maximum(count, 1), rtol=1e-4, atol=1e-5)


def test_a_causal_mask_lets_no_later_pixel_through():
    x, mask = draw()
    layer = KernelMaskedConv2D(4, CAUSAL)
    expected = layer([x, mask])[0].numpy()
    x[:, 4, 6:] += 1
    x[:, 5:] += 1
    actual = layer([x, mask])[0].numpy()
    np.testing.assert_array_equal(actual[:, :4], expected[:, :4])
    np.testing.assert_array_equal(actual[:, 4, :7], expected[:, 4, :7])


def test_masked_taps_stay_zero_in_training():
    x, mask = draw()
    layer = KernelMaskedConv2D(4, CAUSAL, kernel_regularizer="l2")
    train(layer, x, mask)
    masked = np.equal(CAUSAL, 0)
    np.testing.assert_array_equal(layer.kernel.numpy()[masked], 0)
    assert np.all(layer.kernel.numpy()[~masked])


def test_masked_taps_have_a_gradient_of_zero_whatever_stands_there():
    x, mask = draw()
    layer = KernelMaskedConv2D(4, CAUSAL)
    layer.build([x.shape, mask.shape])
    layer.kernel.assign(np.where(np.reshape(CAUSAL, (3, 3, 1, 1)), layer.kernel.numpy(), np.nan))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer([x, mask])[0])
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    np.testing.assert_array_equal(gradient[np.equal(CAUSAL, 0)], 0)
    assert np.all(np.isfinite(gradient))


def test_the_kernel_mask_is_not_a_weight():
    layer = KernelMaskedConv2D(4, CAUSAL)
    layer.build([(None, None, None, 3), (None, None, None, 1)])
    assert sorted(weight.name for weight in layer.weights) == ["bias", "kernel"]


def test_a_filter_without_a_tap_in_use_gives_its_bias():
    x, mask = draw()
    taps = np.ones((3, 3, 3, 2), int)
    taps[..., 1] = 0
    y, _ = KernelMaskedConv2D(2, taps, bias_initializer="ones")([x, mask])
    np.testing.assert_array_equal(y[..., 1], mask[..., 0].astype(np.float32))


@pytest.mark.parametrize(
    "kernel_mask",
    [
        [1, 0, 1],
        [[[1]]],
        np.zeros((3, 3)),
        [[0, 1, 2]],
        [[0.5]],
        [["a"]],
        np.ones((2, 2)),
        np.ones((3, 3, 3, 7)),
        np.ones((0, 3)),
    ],
)
def test_a_kernel_mask_of_another_shape_or_other_values_is_refused(kernel_mask):
    with pytest.raises(ValueError, match="Received: "):
        KernelMaskedConv2D(2, kernel_mask)


def test_the_size_of_the_kernel_is_that_of_its_mask_and_cannot_be_said():
    with pytest.raises(ValueError, match="takes no `kernel_size`"):
        KernelMaskedConv2D(2, CAUSAL, kernel_size=3)


def test_a_kernel_mask_for_other_channels_is_refused():
    x, mask = draw()
    with pytest.raises(ValueError, match=r"must be for 3 channels\. Received: "):
        KernelMaskedConv2D(2, np.ones((3, 3, 5, 2)))([x, mask])
