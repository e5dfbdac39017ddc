import numpy as np
import pytest

from model.layers import CoverageScale, FillInvalid, PartialConv2D
from tests.support.references import coverage


def draw():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 9, 8, 3)).astype(np.float32), rng.random((2, 9, 8, 1)) < 0.5


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_map_is_area_over_valid_pixels_and_zero_where_invalid(kernel_size):
    _, mask = draw()
    np.testing.assert_allclose(
        CoverageScale(kernel_size)(mask), coverage(mask, kernel_size), rtol=1e-6
    )


@pytest.mark.parametrize("normalization", ["none", "mean", "area", "variance"])
def test_one_product_with_the_map_scales_and_masks_as_the_layer_does(normalization):
    x, mask = draw()
    layer = PartialConv2D(4, 3, normalization=normalization, use_bias=False)
    bare = PartialConv2D(4, 3, normalization="none", mask_update="any", use_bias=False)
    expected, _ = layer([x, mask])
    bare.build([x.shape, mask.shape])
    bare.set_weights(layer.get_weights())
    product = bare([x, mask])[0] * CoverageScale(3, normalization)(mask)
    np.testing.assert_allclose(product, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fill_value", [0.0, -2.5])
def test_invalid_pixels_are_replaced_and_valid_ones_kept(fill_value):
    x, mask = draw()
    hidden = np.where(mask, x, np.float32(np.nan))
    np.testing.assert_array_equal(
        FillInvalid(fill_value)([hidden, mask]), np.where(mask, x, np.float32(fill_value))
    )
