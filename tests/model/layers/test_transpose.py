import keras
import numpy as np
import pytest

from model.layers import PartialConv2DTranspose
from tests.support.references import masked_conv2d_transpose

SIZES = [(1, 1), (2, 2), (3, 2), (4, 2), (5, 2), (5, 3), (3, 3), ((3, 4), (1, 3)), (7, 2)]


def draw(valid=0.6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 7, 3)).astype(np.float32)
    return x, rng.random((2, 6, 7, 1)) < valid


@pytest.mark.parametrize(("kernel_size", "strides"), SIZES)
@pytest.mark.parametrize("normalization", ["none", "mean", "area", "variance"])
def test_every_mode_equals_pixels_that_spread_their_kernels(normalization, kernel_size, strides):
    x, mask = draw()
    layer = PartialConv2DTranspose(4, kernel_size, strides, normalization, bias_initializer="ones")
    y, updated = layer([x, mask])
    expected, expected_mask = masked_conv2d_transpose(
        x, mask, layer.kernel.numpy(), np.ones(4), layer.strides, normalization
    )
    np.testing.assert_array_equal(updated, expected_mask)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "strides"), SIZES)
def test_without_normalization_an_image_without_holes_is_that_of_keras(kernel_size, strides):
    x, _ = draw()
    layer = PartialConv2DTranspose(4, kernel_size, strides, normalization="none")
    y, _ = layer([x, np.ones((*x.shape[:3], 1), bool)])
    plain = keras.layers.Conv2DTranspose(4, kernel_size, strides, padding="same")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(y, plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "strides"), SIZES)
def test_area_differs_from_keras_at_the_border_alone(kernel_size, strides):
    x, _ = draw()
    mask = np.ones((*x.shape[:3], 1), bool)
    area, none = (PartialConv2DTranspose(4, kernel_size, strides, n) for n in ("area", "none"))
    expected = none([x, mask])[0].numpy()
    area.build([x.shape, mask.shape])
    area.set_weights(none.get_weights())
    inner = (slice(None), slice(9, -9), slice(9, -9))
    np.testing.assert_allclose(area([x, mask])[0][inner], expected[inner], rtol=1e-5)


def test_the_mean_of_a_constant_image_has_no_checkerboard():
    ones = np.ones((1, 5, 6, 1), np.float32)
    layer = PartialConv2DTranspose(1, 3, 2, "mean", kernel_initializer="ones")
    np.testing.assert_allclose(layer([ones, ones > 0])[0], 1, rtol=1e-6)


def test_without_a_finer_mask_the_mask_does_not_grow():
    x, mask = draw(valid=0.2)
    _, updated = PartialConv2DTranspose(1, 7, 2)([x, mask])
    np.testing.assert_array_equal(updated, mask.repeat(2, axis=1).repeat(2, axis=2))


def test_with_a_finer_mask_of_the_image_it_grows_over_holes_by_the_kernels_reach():
    mask = np.zeros((1, 5, 5, 1), bool)
    mask[0, 2, 2] = True
    x, finer = np.ones((1, 5, 5, 1), np.float32), np.ones((1, 10, 10, 1), bool)
    finer[:, :, 6:] = False
    _, updated = PartialConv2DTranspose(1, 4, 2)([x, mask, finer])
    expected = np.zeros((10, 10), bool)
    expected[3:7, 3:6] = True
    np.testing.assert_array_equal(updated[0, :, :, 0], expected)


def test_a_finer_mask_that_is_not_finer_by_the_strides_is_refused():
    x, mask = draw()
    with pytest.raises(ValueError, match="`finer` must have the features' N, H and W"):
        PartialConv2DTranspose(1, 2)([x, mask, mask])


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": 0},
        {"kernel_size": 1},
        {"kernel_size": (3, 1)},
        {"strides": 0},
        {"normalization": "sum"},
        {"padding": "same"},
        {"dilation_rate": 2},
        {"mask_update": "any"},
    ],
)
def test_arguments_outside_their_choices_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        PartialConv2DTranspose(**{"filters": 2, "kernel_size": 2, **arguments})
