"""Layers of converted networks for export, held to those that they stand for."""

import numpy as np
import pytest

from model.layers import FillInvalid, MaskedUpSampling2D, PartialConv2DTranspose
from model.layers.converted import CellConv2DTranspose, LinearUpSampling2D, MaskProduct

RNG = np.random.default_rng(0)


def test_a_product_with_the_mask_is_a_selection_of_finite_features():
    x, mask = RNG.normal(size=(2, 3, 5, 4)), RNG.random((2, 3, 5, 1)) < 0.6

    np.testing.assert_array_equal(MaskProduct()([x, mask]), FillInvalid()([x, mask]))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_to_cells_is_the_partial_one(stride):
    x = RNG.normal(size=(2, 3, 5, 4)).astype(np.float32)
    finer = RNG.random((2, 3 * stride, 5 * stride, 1)) < 0.6
    coarse = finer.reshape(2, 3, stride, 5, stride, 1).any(axis=(2, 4))
    weights = [RNG.normal(size=(stride, stride, 6, 4)), RNG.normal(size=6)]
    partial, cells = PartialConv2DTranspose(6, stride, stride), CellConv2DTranspose(6, stride)
    for layer, inputs in ((partial, [x, coarse, finer]), (cells, [x, finer])):
        layer(inputs)
        layer.set_weights(weights)

    expected, _ = partial([x, coarse, finer])
    np.testing.assert_allclose(cells([x, finer]), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_with_one_product_is_the_masked_one(factor):
    x = RNG.normal(size=(2, 3, 5, 4)).astype(np.float32)
    finer = RNG.random((2, 3 * factor, 5 * factor, 1)) < 0.2
    coarse = finer.reshape(2, 3, factor, 5, factor, 1).any(axis=(2, 4))

    expected = MaskedUpSampling2D(factor, "bilinear")([x, coarse, finer])
    found = LinearUpSampling2D(factor)([x, coarse, finer])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_mask_that_is_not_bool_is_refused():
    for layer in (MaskProduct(), CellConv2DTranspose(1, 2)):
        with pytest.raises(ValueError, match="must be bool"):
            layer([np.ones((1, 2, 2, 1), np.float32), np.ones((1, 4, 4, 1), np.float32)])
    with pytest.raises(ValueError, match="must be bool"):
        LinearUpSampling2D(2)([np.ones((1, 2, 2, 1), np.float32)] * 3)


def test_a_layer_is_made_again_from_its_configuration():
    again = CellConv2DTranspose.from_config(CellConv2DTranspose(6, 3).get_config())

    assert (again.filters, again.stride) == (6, 3)
    assert LinearUpSampling2D.from_config(LinearUpSampling2D(3).get_config()).factor == 3
    with pytest.raises(ValueError, match="must be a positive integer"):
        CellConv2DTranspose(6, 0)
