import numpy as np
import pytest

from model.layers import CropToSize, MaskedUpSampling2D, MaskMaxPooling2D, PadToMultiple
from tests.support.references import any_in_blocks


def draw(height=7, width=10, valid=0.3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, height, width, 3)).astype(np.float32)
    return x, rng.random((2, height, width, 1)) < valid


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_a_coarse_cell_is_valid_if_any_of_its_pixels_is(factor):
    _, mask = draw(valid=0.1)
    np.testing.assert_array_equal(MaskMaxPooling2D(factor)(mask), any_in_blocks(mask, factor))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsampling_repeats_pixels_and_clears_what_the_finer_mask_excludes(factor):
    x, _ = draw()
    _, mask = draw(7 * factor, 10 * factor)
    expected = np.where(mask, np.kron(x, np.ones((1, factor, factor, 1))), 0)
    np.testing.assert_array_equal(MaskedUpSampling2D(factor)([x, mask]), expected)


@pytest.mark.parametrize(("multiple", "size"), [(1, (7, 10)), (4, (8, 12)), (7, (7, 14))])
def test_padding_fills_up_to_a_multiple_on_the_right_and_at_the_bottom(multiple, size):
    x, mask = draw()
    around = [(0, 0), (0, size[0] - 7), (0, size[1] - 10), (0, 0)]
    padded, padded_mask = PadToMultiple(multiple)([x, mask])
    np.testing.assert_array_equal(padded, np.pad(x, around))
    np.testing.assert_array_equal(padded_mask, np.pad(mask, around))


def test_cropping_undoes_padding():
    x, mask = draw()
    padded, _ = PadToMultiple(8)([x, mask])
    np.testing.assert_array_equal(CropToSize()([padded, mask]), x)
