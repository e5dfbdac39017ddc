"""Layers of converted networks for export, held to those that they stand for."""

import numpy as np
import pytest

from model.layers import FillInvalid, MaskedUpSampling2D, PartialConv2DTranspose
from model.layers.converted import (
    CellConv2DTranspose,
    FillIncomplete,
    FusedWindowConv2D,
    FusedWindowDepthwiseConv2D,
    IncompleteWindows,
    LinearUpSampling2D,
    MaskProduct,
)
from model.layers.windows import WindowConv2D, WindowCoverage, WindowDepthwiseConv2D

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("valid", [0.6, 1.0])
def test_a_product_with_the_mask_is_a_selection_of_finite_features(valid):
    x, mask = RNG.normal(size=(2, 3, 5, 4)), RNG.random((2, 3, 5, 1)) < valid

    np.testing.assert_array_equal(MaskProduct()([x, mask]), FillInvalid()([x, mask]))


@pytest.mark.parametrize("valid", [0.6, 1.0])
def test_missing_values_are_filled_if_there_are_any(valid):
    mask = RNG.random((2, 3, 5, 1)) < valid
    x = np.where(mask, RNG.normal(size=(2, 3, 5, 4)), np.nan)

    np.testing.assert_array_equal(FillIncomplete(7.0)([x, mask]), FillInvalid(7.0)([x, mask]))


def pair(kind, *arguments, rectify):
    """Make a convolution and the fused one, of the same weights, and their coverage."""
    fused = {WindowConv2D: FusedWindowConv2D, WindowDepthwiseConv2D: FusedWindowDepthwiseConv2D}
    first = [6] if kind is WindowConv2D else []
    both = kind(*first, *arguments), fused[kind](*first, *arguments, rectify=rectify)
    for layer in both:
        layer.build([(None, None, None, 4)])
    weights = [RNG.normal(size=weight.shape) for weight in both[0].get_weights()]
    for layer in both:
        layer.set_weights(weights)
    return *both, WindowCoverage(*arguments)


def run_fused(layer, x, coverage):
    return np.asarray(layer([x, coverage, IncompleteWindows()(coverage)]))


def draw(height, width, valid, stride=1):
    mask = RNG.random((1, height, width, 1)) < valid
    x = np.where(mask, RNG.normal(size=(1, height, width, 4)), 0).astype(np.float32)
    coarse = mask.reshape(1, height // stride, stride, width // stride, stride, 1).any(axis=(2, 4))
    return x, mask, coarse


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("valid", [0.7, 0.999])  # many windows are incomplete, and few
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (WindowConv2D, (3, 1, (1, 1))),
        (WindowConv2D, ((5, 3), 1, (4, 2), 2)),
        (WindowConv2D, (3, 2, (0, 0))),
        (WindowDepthwiseConv2D, (3, 1, (1, 1))),
    ],
)
def test_a_fused_convolution_is_the_partial_one_and_its_relu(kind, arguments, valid, rectify):
    plain, fused, cover = pair(kind, *arguments, rectify=rectify)
    x, mask, coarse = draw(48, 66, valid, stride=arguments[1])
    coverage = cover([mask, coarse])
    expected = np.asarray(plain([x, coverage]))
    expected = np.maximum(expected, 0) if rectify else expected

    found = np.where(coarse, run_fused(fused, x, coverage), 0)
    np.testing.assert_allclose(found, np.where(coarse, expected, 0), atol=2e-5)


def test_a_window_of_one_pixel_needs_no_coverage():
    plain, fused, cover = pair(WindowConv2D, 1, rectify=True)
    x, mask, _ = draw(8, 6, 0.7)

    expected = np.maximum(plain([x, cover([mask, mask])]), 0)
    np.testing.assert_allclose(np.where(mask, fused([x]), 0), np.where(mask, expected, 0))


@pytest.mark.parametrize("rectify", [True, False])
def test_some_windows_are_corrected_to_the_bits_that_all_are(rectify):
    """A small canvas has many incomplete windows among all, and a large one has few."""
    _, fused, cover = pair(WindowConv2D, 3, 1, (1, 1), rectify=rectify)
    x, mask, _ = draw(16, 16, 0.7)
    sides = ((0, 0), (0, 112), (0, 112), (0, 0))
    found = []
    for values, valid in ((x, mask), (np.pad(x, sides), np.pad(mask, sides))):
        coverage = cover([valid, valid])
        few = np.size(IncompleteWindows()(coverage)) <= valid.size // 8
        assert few == (valid is not mask)
        found.append(np.where(mask, run_fused(fused, values, coverage)[:, :16, :16], 0))

    np.testing.assert_array_equal(*found)


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
    fused = FusedWindowConv2D(6, 3, 1, (1, 1), rectify=True)
    assert FusedWindowConv2D.from_config(fused.get_config()).rectify
    assert LinearUpSampling2D.from_config(LinearUpSampling2D(3).get_config()).factor == 3
    with pytest.raises(ValueError, match="must be a positive integer"):
        CellConv2DTranspose(6, 0)
