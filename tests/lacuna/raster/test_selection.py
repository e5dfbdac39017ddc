"""Bands and alpha of files of each format, with GDAL as the witness for TIFF and JPEG 2000."""

import struct

import numpy as np
import pytest
from PIL import Image

from lacuna.errors import ChannelMismatchError, ImageTooLargeError
from lacuna.raster.arrays import array_from_nested
from lacuna.raster.bands import BandSelection
from lacuna.raster.images import ImageFile, decode_image
from lacuna.raster.limits import ImageLimits
from tests.support.images import noise, npy_file, picture_file, saved, smooth, tiff_file
from tests.support.rasters import convert, gdal_file, read_with_gdal

LIMITS = ImageLimits()
RGBA = noise(9, 7, 4)
RGBN = ("red", "green", "blue", "nir")


def decode(data, *bands, alpha="auto", expected=()):
    return decode_image(data, LIMITS, bands=BandSelection(bands or None, alpha, expected))


FILES = {
    "png": lambda: picture_file(RGBA, "PNG"),
    "webp": lambda: picture_file(RGBA, "WEBP", lossless=True, exact=True),
    "tiff": lambda: gdal_file(RGBA),
    "jp2": lambda: convert(
        gdal_file(RGBA), "JP2OpenJPEG", CODEC="JP2", QUALITY="100", REVERSIBLE="YES"
    ),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("bands", "alpha", "taken", "validity"),
    [
        ((), "auto", [0, 1, 2], 3),
        ((), "no", [0, 1, 2, 3], None),
        ((3, "red"), "auto", [2, 0], 3),
        ((4, 3, 2), "auto", [3, 2, 1], None),
        (("alpha", 1), "auto", [3, 0], None),
        ((1,), "no", [0], None),
        ((1, 1, 1), "yes", [0, 0, 0], 3),
    ],
)
def test_bands_and_alpha_are_taken_as_a_request_says(kind, bands, alpha, taken, validity):
    raster = decode(FILES[kind](), *bands, alpha=alpha)

    np.testing.assert_array_equal(raster.values, RGBA[:, :, taken])
    if validity is None:
        assert raster.valid is None
    else:
        np.testing.assert_array_equal(raster.valid, RGBA[:, :, validity] > 0)


def test_the_files_hold_what_gdal_reads():
    for kind in ("tiff", "jp2"):
        values, valid = read_with_gdal(FILES[kind]())
        np.testing.assert_array_equal(values, RGBA)
        np.testing.assert_array_equal(valid, RGBA[:, :, 3] > 0)


def test_bands_of_a_jpeg_are_chosen_by_number_and_colour():
    data = picture_file(smooth(16, 16), "JPEG")
    whole = decode(data).values

    np.testing.assert_array_equal(decode(data, "blue", 1).values, whole[:, :, [2, 0]])


ARRAY = noise(5, 6, 4, dtype=np.float64)


@pytest.mark.parametrize("form", ["npy", "lists"])
def test_bands_of_an_array_are_chosen_by_number_and_the_last_may_be_alpha(form):
    values = np.where(ARRAY < -1, 0, ARRAY)
    bands = BandSelection((3, 1), "yes")
    if form == "npy":
        raster = decode_image(npy_file(values), LIMITS, bands=bands)
        np.testing.assert_array_equal(raster.stored, values[:, :, [2, 0]])
    else:
        raster = array_from_nested(values.tolist(), LIMITS, bands)

    np.testing.assert_array_equal(raster.values, values[:, :, [2, 0]].astype(np.float32))
    np.testing.assert_array_equal(raster.valid, values[:, :, 3] > 0)


def test_an_array_has_no_names():
    with pytest.raises(ChannelMismatchError, match="of the 4 that the image has: 1 to 4, without"):
        decode(npy_file(ARRAY), "red")


@pytest.mark.parametrize("planar", ["PIXEL", "BAND"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float64"])
def test_bands_of_a_geotiff_are_chosen_by_description(dtype, planar):
    values = noise(20, 30, 7, dtype=dtype)
    names = ("coastal", "Blue", "Green", "Red", "NIR", "SWIR 1", "SWIR 2")
    raster = decode(gdal_file(values, names=names, INTERLEAVE=planar), "red", "GREEN", 2)

    np.testing.assert_array_equal(
        raster.values, values[:, :, [3, 2, 1]].astype(raster.values.dtype)
    )
    assert raster.band_names == ("Red", "Green", "Blue")
    assert raster.valid is None


def test_the_colour_interpretation_that_gdal_keeps_counts_before_the_tag_of_tiff():
    data = gdal_file(RGBA, colours=RGBN)
    values, valid = read_with_gdal(data)
    raster = decode(data)

    np.testing.assert_array_equal(raster.values, values)
    assert valid.all()
    assert raster.valid is None
    np.testing.assert_array_equal(decode(data, "nir").values, values[:, :, 3:])


def test_alpha_that_only_gdals_metadata_tells_is_alpha():
    data = gdal_file(RGBA, colours=("red", "green", "alpha", "blue"))
    raster = decode(data)

    np.testing.assert_array_equal(raster.values, RGBA[:, :, [0, 1, 3]])
    np.testing.assert_array_equal(raster.valid, RGBA[:, :, 2] > 0)


def test_bands_that_a_model_names_are_taken_by_name():
    data = gdal_file(RGBA, colours=("nir", "blue", "green", "red"))

    raster = decode(data, expected=("red", "green", "blue"))

    np.testing.assert_array_equal(raster.values, RGBA[:, :, [3, 2, 1]])


def test_only_the_bands_that_are_read_hold_the_nodata_value():
    values = np.array([[[0, 0, 5], [0, 7, 5], [0, 0, 0]]], np.uint16)
    data = gdal_file(values, nodata=0)

    assert decode(data).has_data.tolist() == [[True, True, False]]
    assert decode(data, 1, 2).has_data.tolist() == [[False, True, False]]
    assert decode(data, 3).has_data.tolist() == [[True, True, False]]


def test_each_band_that_is_read_keeps_its_own_value_of_missing_pixels():
    xml = '<GDALMetadata><Item name="NODATA_VALUES">1 2 3</Item></GDALMetadata>'
    values = np.array([[[1, 2, 3], [1, 2, 9], [9, 2, 3], [2, 1, 3]]], np.uint8)
    data = tiff_file(values, photometric="rgb", extratags=[(42112, "s", 0, xml, True)])

    assert decode(data).has_data.tolist() == [[False, True, True, True]]
    assert decode(data, 2, 1).has_data.tolist() == [[False, False, True, True]]
    assert decode(data, 3).has_data.tolist() == [[False, True, False, False]]


def palette_and_alpha():
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    alpha = np.array([[255, 0], [9, 255]], np.uint8)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, :3] = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]]) * 257
    # tifffile writes no palette beside alpha.
    grey = tiff_file(
        np.dstack([indices, alpha]),
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
        extratags=[(320, "H", 768, colormap.ravel().tolist(), True)],
    )
    black, palette = (struct.pack("<HHII", 262, 3, 1, kind) for kind in (1, 3))
    assert grey.count(black) == 1
    return grey.replace(black, palette), colormap.T[indices] // 257, alpha


def test_bands_of_a_palette_picture_are_its_colours_and_alpha():
    data, rgb, alpha = palette_and_alpha()

    np.testing.assert_array_equal(decode(data, "blue", "red").values, rgb[:, :, [2, 0]])
    np.testing.assert_array_equal(decode(data, "blue").valid, alpha > 0)
    np.testing.assert_array_equal(decode(data, 4, 1).values, np.dstack([alpha, rgb[:, :, 0]]))
    assert decode(data, alpha="no").valid is None


def test_a_transparent_palette_can_be_ignored():
    picture = Image.new("P", (2, 1))
    picture.putpalette([1, 2, 3, 4, 5, 6])
    picture.putdata([0, 1])
    data = saved(picture, "PNG", transparency=1)

    assert decode(data).valid.tolist() == [[True, False]]
    assert decode(data, 1, 2, 3, alpha="no").valid is None


def test_a_band_that_does_not_exist_is_refused_with_those_that_do():
    data = gdal_file(RGBA, names=("", "", "", "nir"))

    with pytest.raises(
        ChannelMismatchError, match=r"1 \(red\), 2 \(green\), 3 \(blue\), 4 \(nir\)"
    ):
        decode(data, 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_that_varies_like_an_image_leaves_a_doubt(dtype):
    data = gdal_file(RGBA.astype(dtype), PHOTOMETRIC="RGB", ALPHA="YES")

    (doubt,) = decode(data).doubts
    assert "band 4 is tagged as alpha" in doubt
    assert decode(data, 1, 2, 3).doubts
    assert decode(data, alpha="yes").doubts == ()
    assert decode(data, alpha="no").doubts == ()
    assert decode(data, 4, 3, 2).doubts == ()


def test_opaque_alpha_leaves_no_doubt():
    values = RGBA.copy()
    values[:, :, 3] = np.where(values[:, :, 3] > 50, 255, 0)

    assert decode(gdal_file(values)).doubts == ()


@pytest.mark.parametrize(
    "read",
    [
        lambda bands: decode_image(npy_file(noise(9, 9)), ImageLimits(81, 512), bands=bands),
        lambda bands: ImageFile(npy_file(noise(9, 9))).estimate_bytes(ImageLimits(81, 512), bands),
        lambda bands: array_from_nested(noise(9, 9).tolist(), ImageLimits(81, 512), bands),
    ],
)
def test_a_band_that_is_wanted_again_and_again_is_held_to_the_limits(read):
    read(BandSelection((1,) * 4))
    with pytest.raises(ImageTooLargeError, match="at most 324 samples"):
        read(BandSelection((1,) * 5))
    with pytest.raises(ImageTooLargeError, match="at most 512 channels; it has 513"):
        read(BandSelection((1,) * 513))
