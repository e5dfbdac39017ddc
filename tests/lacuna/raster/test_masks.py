import numpy as np
import pytest
from PIL import Image

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidMaskError,
    UnsupportedMediaTypeError,
)
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import check_mask_fits, decode_mask
from tests.support.images import noise, npy_file, picture_file, saved, tiff_file

LIMITS = ImageLimits()
MASK = noise(37, 53) > 100


def as_palette(mask):
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    return saved(picture, "PNG")


FILES = {
    "grey PNG of 255": picture_file(255 * MASK.astype(np.uint8), "PNG"),
    "grey PNG of 1": picture_file(MASK.astype(np.uint8), "PNG"),
    "bilevel PNG": saved(Image.fromarray(MASK), "PNG"),
    "palette PNG": as_palette(MASK),
    "RGB PNG": picture_file(np.dstack([7 * MASK.astype(np.uint8)] * 3), "PNG"),
    "lossless WebP": picture_file(
        np.dstack([255 * MASK.astype(np.uint8)] * 3), "WEBP", lossless=True
    ),
    "bool TIFF, which tifffile stores as white-is-zero": tiff_file(MASK),
    "uint8 TIFF": tiff_file(MASK.astype(np.uint8)),
    "white-is-zero TIFF": tiff_file(7 * MASK.astype(np.uint8), photometric="miniswhite"),
    "bool NPY": npy_file(MASK),
    "float NPY": npy_file(-0.25 * MASK),
    "int64 NPY": npy_file(MASK.astype(np.int64)),
    "NPY (H, W, 1)": npy_file(MASK[:, :, None]),
    "NPY (1, H, W, 1)": npy_file(MASK[None, :, :, None]),
    "NPY of four equal channels": npy_file(np.dstack([MASK] * 4)),
}


@pytest.mark.parametrize("name", FILES)
def test_everything_but_0_is_valid(name):
    mask = decode_mask(FILES[name], LIMITS)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_mask_is_cut_at_half_because_jpeg_blurs_edges(channels):
    blocks = np.kron(noise(4, 6) > 128, np.ones((9, 9), bool))
    values = np.dstack([255 * blocks.astype(np.uint8)] * channels).squeeze()
    data = picture_file(values, "JPEG", quality=75)
    np.testing.assert_array_equal(decode_mask(data, LIMITS), blocks)


def test_where_there_is_alpha_a_pixel_must_be_coloured_and_opaque():
    values = np.zeros((1, 4, 4), np.uint8)
    values[0, :, :3] = [[0], [0], [9], [9]]
    values[0, :, 3] = [0, 255, 0, 1]
    mask = decode_mask(picture_file(values, "PNG"), LIMITS)
    assert mask.tolist() == [[False, False, False, True]]


def test_alpha_that_is_opaque_everywhere_says_nothing():
    values = np.dstack([7 * MASK.astype(np.uint8)] * 3 + [np.full(MASK.shape, 255, np.uint8)])
    np.testing.assert_array_equal(decode_mask(picture_file(values, "PNG"), LIMITS), MASK)


@pytest.mark.parametrize(
    "values", [noise(5, 7, 3), np.array([[[1, 1, 2]]], np.uint8)], ids=["noise", "one pixel"]
)
def test_a_coloured_mask_is_refused(values):
    with pytest.raises(InvalidMaskError, match="one channel, or equal ones; it has 3 that differ"):
        decode_mask(picture_file(values, "PNG"), LIMITS)


def test_nan_in_a_mask_is_refused():
    with pytest.raises(InvalidMaskError, match="it holds NaN"):
        decode_mask(npy_file(np.array([[1, np.nan]])), LIMITS)


def test_a_mask_of_no_bytes_is_empty():
    with pytest.raises(EmptyBodyError, match=r"mask must be .* it has 0 bytes"):
        decode_mask(b"", LIMITS)


@pytest.mark.parametrize(
    "data", [b"hello", picture_file(noise(5, 7), "PNG")[:-20], npy_file(np.zeros((5, 7), complex))]
)
def test_what_cannot_be_read_is_an_invalid_mask(data):
    with pytest.raises(InvalidMaskError, match="mask cannot be read: "):
        decode_mask(data, LIMITS)


def test_a_mask_of_a_format_that_is_not_read_is_an_unsupported_type():
    with pytest.raises(UnsupportedMediaTypeError, match="it is GIF"):
        decode_mask(picture_file(noise(5, 7), "GIF"), LIMITS)


def test_a_mask_of_too_many_pixels_is_refused():
    with pytest.raises(ImageTooLargeError, match="at most 34 pixels"):
        decode_mask(npy_file(np.ones((5, 7), bool)), ImageLimits(image_pixels=34))


def test_a_mask_of_the_images_size_fits():
    check_mask_fits(MASK, (37, 53))


def test_a_mask_of_another_size_does_not_fit():
    with pytest.raises(InvalidMaskError) as caught:
        check_mask_fits(MASK[:, :52], (37, 53))
    assert caught.value.message == (
        "mask must have the image's height and width; image is 37×53, mask is 37×52"
    )


@pytest.mark.parametrize("side", [2, 1100])
def test_booleans_that_are_neither_0_nor_1_are_made_so(side):
    data = bytearray(npy_file(np.zeros((side, side), bool)))
    data[-2:] = 2, 7

    mask = decode_mask(bytes(data), ImageLimits())

    assert mask.view(np.uint8).ravel()[-3:].tolist() == [0, 1, 1]


def test_a_large_mask_of_booleans_is_not_copied():
    data = npy_file(np.ones((1100, 1100), bool))

    assert np.shares_memory(decode_mask(data, ImageLimits()), np.frombuffer(data, np.uint8))


def test_a_lossy_webp_mask_is_cut_halfway():
    stored = np.zeros((32, 32), np.uint8)
    stored[:, 13:] = 255
    data = picture_file(np.dstack([stored] * 3), "WEBP", quality=10)

    np.testing.assert_array_equal(decode_mask(data, ImageLimits()), stored == 255)
