import keras
import numpy as np
import pytest

from model.layers import CropToSize, MaskedUpSampling2D, MaskMaxPooling2D, PadToMultiple
from tests.support.references import any_in_blocks, upsample_bilinear


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


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_bilinear_upsampling_equals_weights_of_valid_neighbours(factor):
    x, mask = draw()
    _, finer = draw(7 * factor, 10 * factor, valid=0.8)
    y = MaskedUpSampling2D(factor, "bilinear")([x, mask, finer])
    np.testing.assert_allclose(y, upsample_bilinear(x, mask, finer, factor), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_where_all_is_valid_bilinear_upsampling_is_that_of_keras(factor):
    x, mask = draw()
    finer = np.ones((2, 7 * factor, 10 * factor, 1), bool)
    y = MaskedUpSampling2D(factor, "bilinear")([x, np.ones_like(mask), finer])
    expected = keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_bilinear_upsampling_fills_a_hole_from_its_neighbours():
    x = np.array([2.0, 99.0, 6.0], np.float32).reshape(1, 1, 3, 1)
    mask = np.array([True, False, True]).reshape(1, 1, 3, 1)
    y = MaskedUpSampling2D(2, "bilinear")([x, mask, np.ones((1, 2, 6, 1), bool)])
    np.testing.assert_allclose(y[0, 0, :, 0], [2, 2, 2, 6, 6, 6])


def test_a_tile_is_interpolated_as_it_is_inside_the_whole_image():
    x, mask = draw(valid=0.7)
    layer = MaskedUpSampling2D(3, "bilinear")
    whole = layer([x, mask, np.ones((2, 21, 30, 1), bool)])
    tile = layer([x[:, 2:, 3:], mask[:, 2:, 3:], np.ones((2, 15, 21, 1), bool)])
    np.testing.assert_array_equal(tile[:, 3:, 3:], whole[:, 9:, 12:])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_finer_mask_that_is_not_finer_by_the_factor_is_refused(interpolation):
    x, mask = draw()
    inputs = [x, mask, mask] if interpolation == "bilinear" else [x, mask]
    with pytest.raises(ValueError, match="`finer` must have the features' N, H and W"):
        MaskedUpSampling2D(2, interpolation)(inputs)


def test_another_number_of_inputs_than_the_interpolation_wants_is_refused():
    x, mask = draw()
    for interpolation, inputs in (("nearest", [x, mask, mask]), ("bilinear", [x, mask])):
        with pytest.raises(ValueError, match=f"Received: {len(inputs)} tensors"):
            MaskedUpSampling2D(1, interpolation)(inputs)


def test_sizes_that_are_known_stay_known_and_are_those_of_a_call():
    sizes = (9, 13, 3), (9, 13, 1)
    inputs = keras.Input(sizes[0]), keras.Input(sizes[1], dtype="bool")
    arrays = np.ones((2, *sizes[0]), np.float32), np.ones((2, *sizes[1]), bool)

    for found, known in zip(PadToMultiple(4)(arrays), PadToMultiple(4)(inputs), strict=True):
        assert known.shape == (None, *found.shape[1:])
    crop = CropToSize()
    padded, larger = PadToMultiple(4)(inputs)[0], PadToMultiple(4)(arrays)[0]
    assert crop([padded, inputs[1]]).shape == (None, *crop([larger, arrays[1]]).shape[1:])
    pool = MaskMaxPooling2D(2)
    assert pool(inputs[1]).shape == (None, *pool(arrays[1]).shape[1:])


def test_features_and_mask_are_padded_each_as_it_is_known():
    x, mask = keras.Input((None, None, 3)), keras.Input((9, 14, 1), dtype="bool")

    padded, padded_mask = PadToMultiple(4)([x, mask])

    assert (padded.shape, padded_mask.shape) == ((None, None, None, 3), (None, 12, 16, 1))
