import keras
import numpy as np
import pytest

from model.layers import DepthwisePartialConv2D, PartialConv2D, SeparablePartialConv2D


def draw(channels=3, valid=0.6, n=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 9, 12, channels)).astype(np.float32)
    return x, rng.random((n, 9, 12, 1)) < valid


def with_weights_of(plain, layer, x):
    """Give Keras' layer the weights of ours."""
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    return plain(x)


@pytest.mark.parametrize("options", [{}, {"strides": 2}, {"dilation_rate": 2}])
def test_where_all_is_valid_an_unpadded_depthwise_layer_is_that_of_keras(options):
    x, _ = draw()
    options = {"padding": "valid", "depth_multiplier": 2, **options}
    layer = DepthwisePartialConv2D(3, **options)
    y, updated = layer([x, np.ones((*x.shape[:3], 1), bool)])
    expected = with_weights_of(keras.layers.DepthwiseConv2D(3, **options), layer, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert np.all(updated)


def test_where_all_is_valid_an_unpadded_separable_layer_is_that_of_keras():
    x, _ = draw()
    options = {"padding": "valid", "depth_multiplier": 2, "strides": 2}
    layer = SeparablePartialConv2D(5, 3, **options)
    y, _ = layer([x, np.ones((*x.shape[:3], 1), bool)])
    expected = with_weights_of(keras.layers.SeparableConv2D(5, 3, **options), layer, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_of_one_channel_depthwise_and_full_convolution_are_the_same():
    x, mask = draw(channels=1)
    layer, full = DepthwisePartialConv2D(3, depth_multiplier=4), PartialConv2D(4, 3)
    expected, _ = full([x, mask])
    layer.build([x.shape, mask.shape])
    layer.set_weights(full.get_weights())
    np.testing.assert_allclose(layer([x, mask])[0], expected, rtol=1e-5, atol=1e-6)


def test_channels_do_not_mix():
    x, mask = draw()
    layer = DepthwisePartialConv2D(3)
    expected, _ = layer([x, mask])
    x[..., 1] += 1
    changed = layer([x, mask])[0].numpy() != expected.numpy()
    assert changed[..., 1].any()
    assert not changed[..., [0, 2]].any()


def test_a_depthwise_kernel_is_drawn_for_the_pixels_that_an_output_reads():
    # Keras would take the channels for part of the fan-in, and draw it 16 times too small.
    layer = DepthwisePartialConv2D(3, kernel_initializer="he_normal")
    layer.build([(None, None, None, 256), (None, None, None, 1)])
    assert np.std(layer.kernel) == pytest.approx(np.sqrt(2 / 9), rel=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 2},
        {"strides": (1, 2)},
        {"strides": 2, "dilation_rate": 2},
        {"depth_multiplier": 0},
        {"padding": "full"},
    ],
)
def test_arguments_outside_their_choices_are_refused(arguments):
    for make in (DepthwisePartialConv2D, lambda **some: SeparablePartialConv2D(2, **some)):
        with pytest.raises(ValueError, match="Received: "):
            make(**{"kernel_size": 3, **arguments})


def test_a_separable_layer_wants_filters():
    with pytest.raises(ValueError, match=r"`filters` must be a positive integer\. Received: 0"):
        SeparablePartialConv2D(0, 3)
