from dataclasses import replace

import numpy as np
import pytest

from lacuna.errors import ChannelMismatchError, InvalidMaskError
from lacuna.raster.adapt import fit_to_model, to_sample
from lacuna.raster.bands import BandChoice
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.raster import Raster
from tests.support.images import noise, npy_file, skimage_file

ALL = np.ones((5, 7), np.bool_)


def picture(dtype, channels=1):
    return Raster(noise(5, 7, channels, dtype=dtype), None, float(np.iinfo(dtype).max))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_picture_of_the_models_depth_is_untouched(dtype):
    raster = picture(dtype)
    values, valid = fit_to_model(raster, 1, dtype)
    assert values is raster.values
    assert valid.all()


def test_a_deep_picture_is_scaled_down_and_not_rounded():
    values, _ = fit_to_model(picture(np.uint16), 1, "uint8")
    expected = picture(np.uint16).values.astype(np.float64) * 255 / 65535
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_a_flat_picture_is_scaled_up_exactly():
    values, _ = fit_to_model(picture(np.uint8), 1, "uint16")
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, picture(np.uint8).values.astype(int) * 65535 // 255)


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535)])
def test_a_picture_of_an_odd_depth_has_its_white_at_the_models(dtype, white):
    raster = Raster(np.array([[[0], [4095]]], np.uint16), None, 4095.0)
    values, _ = fit_to_model(raster, 1, dtype)
    np.testing.assert_allclose(values[0, :, 0], [0, white], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_float_model_takes_a_pictures_raw_numbers(dtype):
    raster = picture(dtype)
    assert fit_to_model(raster, 1, "float32")[0] is raster.values


@pytest.mark.parametrize("stored", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("wanted", ["uint8", "uint16", "float32"])
def test_an_arrays_numbers_are_taken_as_they_are(stored, wanted):
    raster = Raster(noise(5, 7, 1, dtype=stored))
    assert fit_to_model(raster, 1, wanted)[0] is raster.values


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_as_many_channels_as_wanted_are_untouched(channels):
    raster = picture(np.uint8, channels)
    assert fit_to_model(raster, channels, "uint8")[0] is raster.values


def test_one_channel_is_repeated_where_three_are_wanted():
    raster = picture(np.uint8)
    values, _ = fit_to_model(raster, 3, "uint8")
    np.testing.assert_array_equal(values, np.dstack([raster.values] * 3))


def test_three_equal_channels_do_for_one():
    grey = noise(5, 7, 1)
    values, _ = fit_to_model(Raster(np.repeat(grey, 3, axis=2), None, 255.0), 1, "uint8")
    np.testing.assert_array_equal(values, grey)


def test_three_channels_that_differ_do_not_do_for_one():
    with pytest.raises(ChannelMismatchError, match="takes 1 channel; the image has 3, and they"):
        fit_to_model(picture(np.uint8, 3), 1, "uint8")


def test_three_channels_that_differ_under_the_mask_only_do_for_one():
    values = np.repeat(noise(5, 7, 1), 3, axis=2)
    values[2, 3] = [1, 2, 3]
    mask = ALL.copy()
    mask[2, 3] = False
    assert to_sample(Raster(values, None, 255.0), mask, 1, "uint8").image.shape == (5, 7, 1)


@pytest.mark.parametrize(
    ("found", "wanted", "advice"),
    [
        (6, 3, ": choose 3 of them by number or name, as with bands=1,2,3"),
        (3, 5, ""),
        (2, 1, ": choose 1 of them by number or name, as with bands=1"),
        (1, 4, ""),
        (9, 6, ": choose 6 of them by number or name, as with bands=1,2,3,4,..."),
    ],
)
def test_other_numbers_of_channels_are_refused_in_the_models_name(found, wanted, advice):
    with pytest.raises(ChannelMismatchError) as caught:
        fit_to_model(picture(np.uint8, found), wanted, "uint8", model="model groundcover")
    plural = "" if wanted == 1 else "s"
    assert caught.value.message == (
        f"model groundcover takes {wanted} channel{plural}; the image has {found}{advice}"
    )


def test_both_lists_of_names_are_told_where_they_do_not_match():
    raster = replace(
        picture(np.uint8, 4), bands=BandChoice((0, 1, 2, 4), (), ("red", "green", "", "nir"))
    )

    with pytest.raises(ChannelMismatchError) as caught:
        fit_to_model(raster, 3, "uint8", names=("red", "green", "blue"))

    assert caught.value.message.startswith(
        "the model takes 3 channels (red, green, blue); the image has 4 (red, green, band 3, nir):"
    )


def test_alpha_that_would_make_up_for_the_missing_channel_is_pointed_out():
    raster = replace(
        picture(np.uint8, 3), bands=BandChoice((0, 1, 2), (3,), ("red", "green", "blue"))
    )

    with pytest.raises(ChannelMismatchError) as caught:
        fit_to_model(raster, 4, "uint8")

    assert caught.value.message == (
        "the model takes 4 channels; the image has 3 (red, green, blue), and band 4 counts as "
        "validity because it is tagged as alpha: alpha=no takes it as a channel"
    )


def test_doubts_about_how_an_image_was_read_stay_with_it():
    assert to_sample(replace(picture(np.uint8), doubts=("?",)), None, 1, "uint8").doubts == ("?",)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_pixel_is_not_valid_where_any_channel_is_not_finite(hole):
    values = noise(5, 7, 3, dtype=np.float32)
    values[2, 3, 1] = hole
    _, valid = fit_to_model(Raster(values), 3, "float32")
    assert np.argwhere(~valid).tolist() == [[2, 3]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_pixel_is_no_data_where_all_its_channels_equal_the_value(dtype):
    values = np.full((5, 7, 3), 9, dtype)
    values[0, 0] = 7
    values[1, 1, 0] = 7
    _, valid = fit_to_model(Raster(values), 3, "uint8", nodata=7)
    assert np.argwhere(~valid).tolist() == [[0, 0]]


def test_no_data_is_compared_before_scaling():
    values = np.array([[[65535], [255]]], np.uint16)
    _, valid = fit_to_model(Raster(values, None, 65535.0), 1, "uint8", nodata=255)
    assert valid.tolist() == [[True, False]]


def test_no_data_in_float32_is_compared_as_float32():
    values = np.array([[[0.1], [0.2]]], np.float32)
    assert fit_to_model(Raster(values), 1, "float32", nodata=0.1)[1].tolist() == [[False, True]]


@pytest.mark.parametrize("nodata", [-9999, 256, 0.5, np.nan, np.inf, 1e300])
def test_a_no_data_value_that_the_image_cannot_hold_is_found_nowhere(nodata):
    assert fit_to_model(picture(np.uint8), 1, "uint8", nodata=nodata)[1].all()


def test_no_data_may_be_nan():
    values = np.array([[[np.nan, np.nan], [1, 2]]], np.float32)
    assert fit_to_model(Raster(values), 2, "float32", nodata=np.nan)[1].tolist() == [[False, True]]


def test_validity_of_the_file_is_kept_and_not_written_to():
    alpha = noise(5, 7) > 99
    before = alpha.copy()
    raster = Raster(np.zeros((5, 7, 1), np.uint8), alpha, 255.0)
    _, valid = fit_to_model(raster, 1, "uint8", nodata=0)
    assert not valid.any()
    np.testing.assert_array_equal(alpha, before)


def test_a_sample_is_valid_where_mask_alpha_no_data_and_finiteness_agree():
    values = np.arange(1, 6, dtype=np.float32).reshape(1, 5, 1)
    values[0, 3] = np.nan
    alpha = np.array([[True, False, True, True, True]])
    mask = np.array([[True, True, False, True, True]])
    sample = to_sample(Raster(values, alpha), mask, 1, "float32", nodata=5)
    assert sample.mask.tolist() == [[True, False, False, False, False]]


def test_without_a_mask_everything_the_file_holds_is_valid():
    assert to_sample(picture(np.uint8), None, 1, "uint8").mask.all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InvalidMaskError, match="image is 5×7, mask is 5×6"):
        to_sample(picture(np.uint8), ALL[:, :6], 1, "uint8")


def test_the_holes_of_a_real_depth_map_are_not_valid():
    with np.load(skimage_file("motorcycle_disp.npz")) as archive:
        disparity = archive["arr_0"]
    holes = ~np.isfinite(disparity)
    assert 0.01 < holes.mean() < 0.5
    sample = to_sample(decode_image(npy_file(disparity), ImageLimits()), None, 1, "float32")
    np.testing.assert_array_equal(sample.mask, ~holes)
    np.testing.assert_array_equal(sample.image[:, :, 0][~holes], disparity[~holes])
