import numpy as np
import pytest
import tensorflow as tf
from astropy.convolution import convolve
from scipy.ndimage import correlate

from model.layers import NormalizedConv2D
from tests.support.references import Reservation, normalized_conv2d

BORDER = {"mode": "constant", "cval": 0}


def draw(channels=1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 12, channels)).astype(np.float32)
    confidence = rng.random((2, 9, 12, 1)).astype(np.float32)
    confidence[:, 2:6, 3:7] = 0
    return x, confidence


@pytest.mark.parametrize("strides", [1, 2, (2, 1)])
@pytest.mark.parametrize("applicability", ["softplus", "exp"])
@pytest.mark.parametrize(("padding", "size"), [("same", 3), ("same", 5), ("valid", 2)])
def test_it_equals_the_weighted_mean_under_the_kernel(padding, size, applicability, strides):
    x, confidence = draw(channels=3)
    layer = NormalizedConv2D(
        4, size, strides, padding, applicability=applicability, bias_initializer="ones"
    )
    y, seen = layer([x, confidence])
    kernel = layer.kernel.numpy().astype(np.float64)
    a = np.exp(kernel) if applicability == "exp" else np.log1p(np.exp(kernel))
    place = Reservation(layer.kernel_size, layer.strides, padding)
    expected, expected_seen = normalized_conv2d(x, confidence, a, np.ones(4), place)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen, expected_seen, rtol=1e-5, atol=1e-6)


def test_numerator_and_denominator_are_scipys_correlations_with_the_applicability():
    x, confidence = draw()
    layer = NormalizedConv2D(1, 3)
    y, seen = layer([x, confidence])
    a = np.log1p(np.exp(layer.kernel.numpy()[:, :, 0, 0].astype(np.float64)))
    image, sure = x[0, :, :, 0].astype(np.float64), confidence[0, :, :, 0].astype(np.float64)
    weight = correlate(sure, a, **BORDER)
    total = correlate(image * sure, a, **BORDER)
    expected = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    np.testing.assert_allclose(y[0, :, :, 0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen[0, :, :, 0], weight / a.sum(), rtol=1e-5)


def test_with_a_mask_and_a_symmetric_kernel_it_is_astropys_interpolated_convolution():
    x, confidence = draw()
    mask = confidence > 0.3
    kernel = np.array([[0.1, 0.5, 0.1], [0.5, 1, 0.5], [0.1, 0.5, 0.1]])
    layer = NormalizedConv2D(1, 3, applicability="exp")
    layer.build([x.shape, mask.shape])
    layer.kernel.assign(np.log(kernel)[..., None, None])
    image = np.where(mask, x, np.nan)[0, :, :, 0].astype(np.float64)
    image[2:6, 3:7] = 0.25  # astropy warns of holes as wide as its kernel
    mask[0, 2:6, 3:7] = True
    expected = convolve(image, kernel, boundary="fill", fill_value=np.nan)
    y, _ = layer([np.nan_to_num(image)[None, ..., None].astype(np.float32), mask[:1]])
    np.testing.assert_allclose(y[0, :, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_constant_image_is_reproduced_whatever_the_confidence():
    _, confidence = draw()
    y, seen = NormalizedConv2D(3, 5)([np.full_like(confidence, 7.0), confidence])
    np.testing.assert_allclose(y, np.where(seen > 0, 7.0, np.zeros(3)), rtol=1e-5)


def test_outputs_lie_within_the_range_of_what_is_known():
    x, confidence = draw(channels=3)
    y, _ = NormalizedConv2D(4, 3)([x, confidence])
    known = x[confidence[..., 0] > 0]
    assert known.min() <= np.min(y) <= np.max(y) <= known.max()


def test_half_the_confidence_everywhere_gives_the_same_means_and_half_the_confidence():
    x, confidence = draw()
    layer = NormalizedConv2D(2, 3)
    y, seen = layer([x, confidence])
    halved, half_seen = layer([x, confidence / 2])
    np.testing.assert_allclose(halved, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(half_seen, seen / 2, rtol=1e-5)


def test_a_mask_is_a_confidence_of_zero_and_one():
    x, confidence = draw()
    layer = NormalizedConv2D(2, 3)
    mask = confidence > 0.5
    for one, other in zip(layer([x, mask]), layer([x, mask.astype(np.float32)]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_confidence_is_cut_to_zero_and_one_and_nan_is_none():
    x, confidence = draw()
    layer = NormalizedConv2D(2, 3)
    wild = np.where(confidence == 0, np.float32(np.nan), confidence)
    wild[:, 0, 0], wild[:, 0, 1] = 5, -5
    confidence[:, 0, 0], confidence[:, 0, 1] = 1, 0
    for one, other in zip(layer([x, wild]), layer([x, confidence]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_where_nothing_is_missing_confidence_stays_one_in_the_interior():
    x, confidence = draw()
    _, seen = NormalizedConv2D(2, 3)([x, np.ones_like(confidence)])
    np.testing.assert_allclose(seen[:, 1:-1, 1:-1], 1, rtol=1e-6)
    assert np.max(seen) <= 1
    assert np.all(seen[:, 0] < 1)


@pytest.mark.parametrize("least", [0.0, 1e-38, 1e-20, 1e-6])
def test_gradients_are_finite_down_to_no_confidence_at_all(least):
    x, confidence = draw()
    layer, sure = NormalizedConv2D(2, 3), tf.constant(confidence * least)
    with tf.GradientTape() as tape:
        tape.watch(sure)
        loss = sum(tf.reduce_sum(output) for output in layer([x, sure]))
    for gradient in tape.gradient(loss, [sure, *(weight.value for weight in layer.weights)]):
        assert np.all(np.isfinite(gradient))


def test_confidence_stays_float32_when_features_are_of_half_precision():
    x, confidence = draw()
    y, seen = NormalizedConv2D(2, 3, dtype="mixed_bfloat16")([x, confidence])
    assert y.dtype == "bfloat16"
    assert seen.dtype == "float32"


@pytest.mark.parametrize(
    "arguments",
    [{"filters": 0}, {"kernel_size": 2}, {"applicability": "relu"}, {"padding": "full"}],
)
def test_arguments_outside_their_choices_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        NormalizedConv2D(**{"filters": 2, "kernel_size": 3, **arguments})


def test_a_confidence_that_is_none_is_refused():
    x, confidence = draw()
    for wrong in (confidence.astype(np.int32), x.repeat(3, -1), confidence[..., 0]):
        with pytest.raises(ValueError, match=r"`confidence` must be float or bool .* Received: "):
            NormalizedConv2D(1, 3)([x, wrong])
    with pytest.raises(ValueError, match="`confidence` must have the features' N, H and W"):
        NormalizedConv2D(1, 3)([x, confidence[:, 1:]])
    with pytest.raises(ValueError, match="Received: 1 tensors"):
        NormalizedConv2D(1, 3)([x])
