import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidMaskError,
    UnsupportedMediaTypeError,
)
from lacuna.raster.images import decode_image
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


# A rectangle of 5,200 pixels, with edges that lie on no block of any of the formats.
RECTANGLE = np.zeros((137, 163), bool)
RECTANGLE[33:98, 42:122] = True
BRIGHT = 255 * RECTANGLE.astype(np.uint8)
TINTED = np.dstack([BRIGHT, BRIGHT, np.where(RECTANGLE, 245, 10).astype(np.uint8)])


def jp2(values, **options):
    return picture_file(values, "JPEG2000", quality_mode="rates", quality_layers=[30], **options)


def jpeg_tiff(values, **options):
    options.setdefault("compressionargs", {"level": 75})
    return tiff_file(values, compression="jpeg", **options)


LOSSY = {
    "grey JPEG": picture_file(BRIGHT, "JPEG", quality=75),
    "RGB JPEG of half as many colours": picture_file(np.dstack([BRIGHT] * 3), "JPEG", quality=60),
    "tinted JPEG": picture_file(TINTED, "JPEG", quality=60),
    "CMYK JPEG": saved(Image.fromarray(np.dstack([BRIGHT] * 3)).convert("CMYK"), "JPEG"),
    "WebP": picture_file(np.dstack([BRIGHT] * 3), "WEBP", quality=10),
    "WebP with alpha": picture_file(
        np.dstack([BRIGHT] * 3 + [np.full(BRIGHT.shape, 255, np.uint8)]), "WEBP", quality=10
    ),
    "tinted WebP": picture_file(TINTED, "WEBP", quality=40),
    "grey TIFF": jpeg_tiff(BRIGHT),
    "grey TIFF in tiles": jpeg_tiff(BRIGHT, tile=(32, 48)),
    "white-is-zero TIFF": jpeg_tiff(BRIGHT, photometric="miniswhite"),
    "RGB TIFF": jpeg_tiff(np.dstack([BRIGHT] * 3), photometric="rgb"),
    "YCbCr TIFF of a quarter as many colours": jpeg_tiff(
        np.asarray(Image.fromarray(TINTED).convert("YCbCr")),
        photometric="ycbcr",
        subsampling=(2, 2),
    ),
    "TIFF of two bands": jpeg_tiff(
        np.stack([BRIGHT] * 2), photometric="minisblack", planarconfig="separate"
    ),
    "TIFF of libtiff": picture_file(
        np.dstack([BRIGHT] * 3), "TIFF", compression="jpeg", quality=75
    ),
    "JPEG 2000": jp2(BRIGHT, irreversible=True),
    "RGB JPEG 2000": jp2(np.dstack([BRIGHT] * 3), irreversible=True),
    "JPEG 2000 of 16 bits": jp2(257 * BRIGHT.astype(np.uint16), irreversible=True),
    "JPEG 2000 of the reversible wavelet, cut off": jp2(BRIGHT),
}


@pytest.mark.parametrize("name", LOSSY)
def test_a_mask_that_was_compressed_with_loss_is_cut_at_half_of_white(name):
    mask = decode_mask(LOSSY[name], LIMITS)

    assert mask.sum() == 5200
    np.testing.assert_array_equal(mask, RECTANGLE)


@pytest.mark.parametrize("name", LOSSY)
def test_loss_did_change_the_values_of_these_masks(name):
    assert len(np.unique(decode_image(LOSSY[name], LIMITS).values)) > 2


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_coloured_mask_is_refused_after_loss_too(kind):
    values = np.dstack([BRIGHT, BRIGHT.T[:137, :137].repeat(2, axis=1)[:, :163], BRIGHT])

    with pytest.raises(InvalidMaskError, match="it has 3 that differ"):
        decode_mask(picture_file(values, kind), LIMITS)


def test_a_mask_with_loss_of_signed_numbers_is_refused():
    values = np.where(RECTANGLE, 100, -100).astype(np.int16)
    data = imagecodecs.jpeg2k_encode(values, level=30, reversible=False)

    with pytest.raises(InvalidMaskError, match="must hold unsigned numbers"):
        decode_mask(data, LIMITS)


@pytest.mark.parametrize("channels", [2, 5])
def test_any_number_of_equal_channels_is_a_mask(channels):
    np.testing.assert_array_equal(decode_mask(npy_file(np.dstack([MASK] * channels)), LIMITS), MASK)


# GDAL copies the no-data value of an image to the mask that is made of it: 255 is then no data.
@pytest.mark.parametrize(
    "tag",
    [
        (42113, "s", 0, "255", True),
        (42112, "s", 0, '<GDALMetadata><Item name="NODATA_VALUES">255</Item></GDALMetadata>', True),
    ],
)
def test_a_no_data_value_that_a_mask_inherited_is_ignored(tag):
    np.testing.assert_array_equal(
        decode_mask(tiff_file(BRIGHT, extratags=[tag]), LIMITS), RECTANGLE
    )


def test_a_mask_turned_like_its_image_fits():
    check_mask_fits(MASK, (37, 53), is_turned=True)


def test_a_mask_that_was_not_turned_with_its_image_is_told_so():
    with pytest.raises(InvalidMaskError) as caught:
        check_mask_fits(MASK, (53, 37), is_turned=True)
    assert caught.value.message == (
        "mask must have the image's height and width; image is 53×37 "
        "(stored as 37×53 and turned as its EXIF orientation says), mask is 37×53"
    )


def test_swapped_sides_of_a_mask_are_pointed_out():
    with pytest.raises(InvalidMaskError) as caught:
        check_mask_fits(MASK, (53, 37))
    assert caught.value.message == (
        "mask must have the image's height and width; image is 53×37, mask is 37×53; "
        "the sides are swapped, as by an EXIF orientation of only one of them"
    )


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, ">f8"])
def test_an_array_may_have_an_axis_of_one_before_its_rows(dtype):
    np.testing.assert_array_equal(decode_mask(npy_file(MASK[None].astype(dtype)), LIMITS), MASK)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_row_of_pixels_with_equal_channels_stays_one(channels):
    row = np.dstack([MASK[:1]] * channels)

    np.testing.assert_array_equal(decode_mask(npy_file(row), LIMITS), MASK[:1])


def test_an_axis_of_one_does_not_lead_past_the_limits():
    with pytest.raises(ImageTooLargeError, match="it must have at most 1960 pixels"):
        decode_mask(npy_file(MASK[None]), ImageLimits(image_pixels=MASK.size - 1))
