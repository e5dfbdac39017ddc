import numpy as np
import pytest
from scipy.ndimage import correlate

from model.layers import SubmanifoldConv2D


def draw(valid=0.3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, 9, 12, 1)).astype(np.float32), rng.random((1, 9, 12, 1)) < valid


def test_the_valid_pixels_stay_the_same_through_any_number_of_layers():
    x, mask = draw()
    updated = mask
    for _ in range(4):
        x, updated = SubmanifoldConv2D(1, 5)([x, updated])
    np.testing.assert_array_equal(updated, mask)


def test_it_is_scipys_correlation_of_the_zero_filled_image_at_valid_pixels():
    x, mask = draw()
    layer = SubmanifoldConv2D(1, 5, bias_initializer="ones")
    y, _ = layer([x, mask])
    kernel = layer.kernel.numpy()[:, :, 0, 0]
    expected = correlate(np.where(mask, x, 0)[0, :, :, 0], kernel, mode="constant", cval=0) + 1
    np.testing.assert_allclose(
        y[0, :, :, 0], np.where(mask[0, :, :, 0], expected, 0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "arguments", [{"kernel_size": 2}, {"filters": 0}, {"strides": 2}, {"normalization": "area"}]
)
def test_arguments_outside_their_choices_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        SubmanifoldConv2D(**{"filters": 2, "kernel_size": 3, **arguments})
