import io
import logging
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.adapt import find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.tiff_pages import MAX_DIRECTORIES
from tests.support.images import noise, picture_file, saved, skimage_file, smooth, tiff_file

LIMITS = ImageLimits()


def patched(data, code, value):
    """The file with one inline SHORT or LONG of its first directory replaced."""
    (directory,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, directory)
    changed = bytearray(data)
    for at in range(directory + 2, directory + 2 + 12 * tags, 12):
        tag, kind = struct.unpack_from("<HH", data, at)
        if tag == code:
            struct.pack_into("<H" if kind == 3 else "<I", changed, at + 8, value)
            return bytes(changed)
    raise KeyError(code)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 32)], ids=["strips", "tiles"])
def test_bands_keep_values_and_dtype_however_they_are_laid_out(dtype, planar, tile):
    values = noise(37, 53, 5, dtype=dtype)
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    data = tiff_file(stored, photometric="minisblack", planarconfig=planar, tile=tile)
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values)
    assert raster.values.dtype == dtype
    assert raster.valid is None


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "float16", "float64"])
def test_other_sample_formats_become_float32_numbers(dtype):
    values = noise(5, 7, dtype=dtype)
    raster = decode_image(tiff_file(values), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values.astype(np.float32))
    assert (raster.values.dtype, raster.full_scale) == (np.float32, None)


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", None)])
def test_integer_pictures_have_a_white(dtype, white):
    assert decode_image(tiff_file(noise(5, 7, dtype=dtype)), LIMITS).full_scale == white


@pytest.mark.parametrize(
    ("compression", "predictor"),
    [
        ("lzw", False),
        ("lzw", True),
        ("deflate", True),
        ("adobe_deflate", False),
        ("zstd", True),
        ("packbits", False),
    ],
)
def test_lossless_compressions_come_back_exactly(compression, predictor):
    values = noise(37, 53, 3, dtype=np.uint16)
    data = tiff_file(values, compression=compression, predictor=predictor, photometric="rgb")
    np.testing.assert_array_equal(decode_image(data, LIMITS).values, values)


def test_the_floating_point_predictor_is_undone():
    values = noise(37, 53, dtype=np.float32)
    data = tiff_file(values, compression="deflate", predictor=3)
    np.testing.assert_array_equal(decode_image(data, LIMITS).values[:, :, 0], values)


@pytest.mark.parametrize("tile", [None, (16, 32)], ids=["strips", "tiles"])
def test_jpeg_in_tiff_comes_back_as_rgb_within_what_jpeg_loses(tile):
    rgb = smooth(48, 64)
    data = tiff_file(
        rgb,
        compression="jpeg",
        compressionargs={"level": 95},
        photometric="rgb",
        tile=tile,
    )
    assert np.abs(decode_image(data, LIMITS).values.astype(int) - rgb).max() <= 10


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_libtiff_writes_is_read(compression, channels):
    values = noise(37, 53, channels)
    data = picture_file(values.squeeze(), "TIFF", compression=compression)
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values[:, :, :3])
    assert (raster.valid is None) == (channels != 4)


def test_jpeg_that_libtiff_writes_is_read():
    rgb = smooth(48, 64)
    data = picture_file(rgb, "TIFF", compression="jpeg", quality=95)
    assert np.abs(decode_image(data, LIMITS).values.astype(int) - rgb).max() <= 10


def test_a_jpeg_strip_of_thousands_of_scans_is_refused():
    data = tiff_file(smooth(16, 16), compression="jpeg", photometric="rgb")
    end = len(data)
    jpeg = data[data.index(b"\xff\xd8") : data.rindex(b"\xff\xd9")]
    longer = jpeg + 200 * jpeg[jpeg.index(b"\xff\xda") :] + b"\xff\xd9"
    data = patched(patched(data, 273, end), 279, len(longer)) + longer
    with pytest.raises(InvalidImageError, match="TIFF must be whole") as caught:
        decode_image(data, LIMITS)
    assert "more scans" in str(caught.value.__cause__)


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}])
def test_bigtiff_and_big_endian_read_the_same(options):
    values = noise(5, 7, dtype=np.uint16)
    raster = decode_image(tiff_file(values, **options), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values)
    assert raster.values.dtype == np.dtype(np.uint16)


def test_bilevel_is_spread_to_0_and_255():
    bits = noise(5, 7) > 128
    raster = decode_image(tiff_file(bits, photometric="minisblack"), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], 255 * bits)
    assert raster.full_scale == 255


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax_compressions_of_bilevel_are_read(compression):
    bits = np.kron(noise(8, 8) > 128, np.ones((4, 4), bool))
    data = saved(Image.fromarray(bits), "TIFF", compression=compression)
    np.testing.assert_array_equal(decode_image(data, LIMITS).values[:, :, 0], 255 * bits)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero_is_inverted(dtype):
    values = noise(5, 7, dtype=dtype)
    raster = decode_image(tiff_file(values, photometric="miniswhite"), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], np.iinfo(dtype).max - values)


def test_a_bilevel_white_is_zero_is_inverted():
    bits = noise(5, 7) > 128
    raster = decode_image(tiff_file(bits, photometric="miniswhite"), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], 255 * ~bits)


def test_a_palette_is_looked_up():
    indices = noise(5, 7)
    colours = noise(256, 3)
    data = tiff_file(indices, photometric="palette", colormap=colours.T.astype(np.uint16) * 257)
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, colours[indices])


def test_twelve_bit_samples_have_their_own_white():
    values = noise(5, 8, dtype=np.uint16) >> 4
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack(
        [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1]], 1
    )
    data = tiff_file(values)
    at = data.index(values.tobytes())
    data = data[:at] + packed.astype(np.uint8).tobytes() + data[at + packed.size :]
    raster = decode_image(patched(patched(data, 258, 12), 279, packed.size), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values)
    assert raster.full_scale == 4095


def test_cmyk_becomes_rgb_as_pillow_makes_it():
    inks = noise(37, 53, 4)
    data = tiff_file(inks, photometric="separated")
    picture = Image.frombytes("CMYK", (53, 37), inks.tobytes())
    np.testing.assert_array_equal(
        decode_image(data, LIMITS).values, np.array(picture.convert("RGB"))
    )


def test_sixteen_bit_cmyk_keeps_its_depth():
    inks = np.array([[[0, 0, 0, 0], [65535, 0, 0, 0], [0, 0, 0, 65535]]], np.uint16)
    raster = decode_image(tiff_file(inks, photometric="separated"), LIMITS)
    assert raster.values.tolist() == [[[65535] * 3, [0, 65535, 65535], [0, 0, 0]]]


def test_uncompressed_ycbcr_becomes_rgb_as_pillow_makes_it():
    picture = Image.fromarray(smooth(37, 53)).convert("YCbCr")
    unsubsampled = (530, 3, 2, (1, 1), True)
    data = tiff_file(np.array(picture), photometric="rgb", extratags=[unsubsampled])
    data = patched(data, 262, 6)
    np.testing.assert_array_equal(
        decode_image(data, LIMITS).values, np.array(picture.convert("RGB"))
    )


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_an_alpha_sample_is_validity_and_no_channel(kind, planar):
    values = noise(37, 53, 4)
    values[3:9, :, 3] = 0
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    data = tiff_file(stored, photometric="rgb", planarconfig=planar, extrasamples=[kind])
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values[:, :, :3])
    np.testing.assert_array_equal(raster.valid, values[:, :, 3] > 0)


def test_a_fourth_band_of_no_stated_meaning_is_a_channel():
    values = noise(5, 7, 4)
    data = tiff_file(values, photometric="rgb", extrasamples=["unspecified"])
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values)
    assert raster.valid is None


def test_alpha_among_other_extra_bands_is_found():
    values = noise(5, 7, 5)
    values[0, :, 4] = 0
    data = tiff_file(values, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values[:, :, :4])
    np.testing.assert_array_equal(raster.valid, values[:, :, 4] > 0)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("int16", "-9999"), ("float32", "-3.4028234663852886e+38"), ("uint8", "0")],
)
def test_gdal_nodata_is_not_valid(dtype, nodata):
    values = noise(5, 7, dtype=dtype)
    values[values == float(nodata)] += 1
    values[1, 2:5] = np.dtype(dtype).type(float(nodata))
    raster = decode_image(tiff_file(values, extratags=[(42113, 2, 0, nodata, True)]), LIMITS)
    expected = np.ones((5, 7), bool)
    expected[1, 2:5] = False
    np.testing.assert_array_equal(find_valid(raster), expected)


def test_gdal_nodata_may_be_nan():
    values = noise(5, 7, dtype=np.float32)
    values[2] = np.nan
    raster = decode_image(tiff_file(values, extratags=[(42113, 2, 0, "nan", True)]), LIMITS)
    np.testing.assert_array_equal(find_valid(raster), ~np.isnan(values))


def test_a_pixel_is_no_data_only_where_all_bands_say_so():
    values = np.zeros((1, 2, 3), np.uint8)
    values[0, 1, 2] = 9
    data = tiff_file(values, photometric="rgb", extratags=[(42113, 2, 0, "0", True)])
    assert find_valid(decode_image(data, LIMITS)).tolist() == [[False, True]]


def test_a_nodata_text_that_is_no_number_says_nothing():
    data = tiff_file(np.zeros((5, 7), np.uint8), extratags=[(42113, 2, 0, "none", True)])
    assert find_valid(decode_image(data, LIMITS)).all()


def pages(*written):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for values, options in written:
            file.write(values, metadata=None, **options)
    return buffer.getvalue()


def test_an_internal_transparency_mask_is_validity():
    values, mask = noise(37, 53, 3), noise(37, 53) > 100
    data = pages((values, {"photometric": "rgb"}), (mask, {"subfiletype": 4}))
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values, values)
    np.testing.assert_array_equal(raster.valid, mask)


def test_overviews_and_their_masks_are_passed_over():
    values, mask = noise(40, 60), noise(40, 60) > 100
    data = pages(
        (values, {"tile": (16, 16)}),
        (mask, {"subfiletype": 4}),
        (values[::2, ::2], {"subfiletype": 1}),
        (mask[::2, ::2], {"subfiletype": 5}),
    )
    raster = decode_image(data, LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values)
    np.testing.assert_array_equal(raster.valid, mask)


def test_several_images_in_a_file_are_refused():
    with pytest.raises(InvalidImageError, match="must hold one image; it holds 3"):
        decode_image(pages(*[(noise(5, 7, seed=seed), {}) for seed in range(3)]), LIMITS)


def test_a_real_multipage_file_is_refused():
    with pytest.raises(InvalidImageError, match="must hold one image; it holds 2"):
        decode_image(skimage_file("multipage.tif").read_bytes(), LIMITS)


def test_an_imagej_stack_in_one_directory_is_refused():
    data = tiff_file(noise(5, 7), description="ImageJ=1.11a\nimages=3\nslices=3\n")
    with pytest.raises(InvalidImageError, match="it holds a stack"):
        decode_image(data, LIMITS)


def test_a_series_cut_to_one_directory_is_refused():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(3, 5, 7), truncate=True, photometric="minisblack")
    with pytest.raises(InvalidImageError, match="it holds a stack"):
        decode_image(buffer.getvalue(), LIMITS)


def test_a_volume_is_refused():
    data = tiff_file(
        noise(16, 16, 16), volumetric=True, tile=(16, 16, 16), photometric="minisblack"
    )
    with pytest.raises(InvalidImageError, match="it holds a stack"):
        decode_image(data, LIMITS)


@pytest.mark.parametrize("compression", ["png", "jpeg2000", "jpegxl"])
def test_compressions_that_could_write_without_bound_are_refused(compression):
    data = tiff_file(noise(16, 16, 3), compression=compression, photometric="rgb")
    with pytest.raises(InvalidImageError, match="TIFF compression must be none, CCITT RLE"):
        decode_image(data, LIMITS)


def test_complex_samples_are_refused():
    with pytest.raises(InvalidImageError, match="TIFF samples must be integers or floating-point"):
        decode_image(tiff_file(np.ones((5, 7), np.complex64)), LIMITS)


def test_colours_that_are_not_understood_are_refused():
    with pytest.raises(InvalidImageError, match="photometric interpretation 8"):
        decode_image(tiff_file(noise(5, 7, 3), photometric="cielab"), LIMITS)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("kept", [6, 30, 150, -100, -1])
def test_a_file_cut_short_is_refused(kept, compression):
    data = tiff_file(noise(37, 53, 3), compression=compression, photometric="rgb")
    with pytest.raises(InvalidImageError, match="TIFF must"):
        decode_image(data[:kept], LIMITS)


def test_a_directory_that_comes_back_to_itself_is_refused():
    data = bytearray(tiff_file(noise(5, 7)))
    (directory,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * tags, directory)
    with pytest.raises(InvalidImageError, match="TIFF must be whole"):
        decode_image(bytes(data), LIMITS)


def test_hundreds_of_pages_are_refused():
    images = [(np.zeros((1, 1), np.uint8), {}) for _ in range(MAX_DIRECTORIES + 1)]
    with pytest.raises(InvalidImageError, match=f"at most {MAX_DIRECTORIES} pages"):
        decode_image(pages(*images), LIMITS)


def test_tags_that_together_are_larger_than_the_file_are_refused():
    size = 200_000
    tags = b"".join(struct.pack("<HHII", 60000 + i, 1, size, 8) for i in range(100))
    data = b"II*\0" + struct.pack("<I", 8 + size) + bytes(size)
    data += struct.pack("<H", 100) + tags + bytes(4)
    with pytest.raises(InvalidImageError, match="TIFF must be whole"):
        decode_image(data, LIMITS)


def test_a_list_of_millions_of_strips_is_refused():
    count = 300_000
    data = b"II*\0" + struct.pack("<I", 8 + 4 * count) + bytes(4 * count)
    data += struct.pack("<H", 1) + struct.pack("<HHII", 273, 4, count, 8) + bytes(4)
    with pytest.raises(ImageTooLargeError, match="at most 262144 strips or tiles"):
        decode_image(data, LIMITS)


def test_a_tile_far_larger_than_any_image_is_refused():
    data = tiff_file(noise(16, 16), tile=(16, 16))
    data = patched(patched(data, 322, 60000), 323, 60000)
    with pytest.raises(ImageTooLargeError, match="tiles must be no larger"):
        decode_image(data, LIMITS)


def test_a_jpeg_strip_larger_than_its_place_is_refused():
    jpeg = picture_file(noise(160, 160, 3), "JPEG")
    data = tiff_file(noise(16, 16, 3), compression="jpeg", photometric="ycbcr", subsampling=(1, 1))
    data = patched(patched(data, 273, len(data)), 279, len(jpeg)) + jpeg
    with pytest.raises(InvalidImageError, match="TIFF must be whole"):
        decode_image(data, LIMITS)


FIELDS = (
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
    (42113, "s", 0, "-9999.000", True),
    (50001, "H", 1, 7, True),
    (50002, "s", 0, "private", True),
)


def spoilt(data, code, kind=None, count=None, value=None, new_code=None):
    """The file with parts of one entry of its first directory replaced."""
    (directory,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, directory)
    changed = bytearray(data)
    for at in range(directory + 2, directory + 2 + 12 * tags, 12):
        entry = struct.unpack_from("<HHII", data, at)
        if entry[0] == code:
            given = (new_code, kind, count, value)
            parts = [old if new is None else new for old, new in zip(entry, given, strict=True)]
            struct.pack_into("<HHII", changed, at, *parts)
            return bytes(changed)
    raise KeyError(code)


BEYOND = 1 << 30


# GDAL 3.10.3 reads the same values from each of these files.
@pytest.mark.parametrize(
    "changes",
    [
        {"code": 50001, "kind": 0},
        {"code": 50001, "kind": 99},
        {"code": 50001, "kind": 14, "count": BEYOND},
        {"code": 50002, "value": BEYOND},
        {"code": 50002, "count": BEYOND},
        {"code": 50002, "value": 3},
        {"code": 50002, "new_code": 50001},
        {"code": 50002, "new_code": 34675, "kind": 7, "value": BEYOND},
        {"code": 50001, "new_code": 34665, "kind": 4, "value": BEYOND},
        {"code": 50001, "new_code": 330, "kind": 4, "value": BEYOND},
        {"code": 33550, "value": BEYOND},
    ],
    ids=str,
)
def test_a_damaged_tag_that_is_not_needed_costs_nothing_else(changes):
    values = noise(5, 7, dtype=np.float32)
    values[2, 3] = -9999
    data = spoilt(tiff_file(values, extratags=FIELDS), **changes)

    raster = decode_image(data, LIMITS)

    np.testing.assert_array_equal(raster.values[:, :, 0], values)
    assert np.argwhere(~find_valid(raster)).tolist() == [[2, 3]]
    assert (raster.georeference is None) == (changes["code"] == 33550)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": 258, "kind": 99},
        {"code": 339, "kind": 0},
        {"code": 50001, "new_code": 256},
    ],
    ids=str,
)
def test_a_damaged_tag_that_changes_the_image_is_refused(changes):
    data = spoilt(tiff_file(noise(5, 7, dtype=np.float32), extratags=FIELDS), **changes)

    with pytest.raises(InvalidImageError, match="TIFF must be whole"):
        decode_image(data, LIMITS)


def test_a_damaged_overview_is_no_concern():
    values = noise(40, 60)
    data = pages((values, {}), (values[::2, ::2], {"subfiletype": 1}))
    second = data.rindex(struct.pack("<HHI", 258, 3, 1))
    data = data[: second + 2] + b"\x63" + data[second + 3 :]

    np.testing.assert_array_equal(decode_image(data, LIMITS).values[:, :, 0], values)


def test_what_is_wrong_with_a_file_is_not_logged(caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidImageError):
        decode_image(tiff_file(noise(5, 7), compression="lzw")[:-20], LIMITS)
    assert not [record for record in caplog.records if record.name.startswith("tifffile")]


@pytest.mark.parametrize("changes", [{"value": BEYOND}, {"kind": 99}], ids=str)
def test_a_nodata_value_that_cannot_be_read_must_be_replaced_or_ignored(changes):
    values = np.array([[1, 2, 3]], np.float32)
    raster = decode_image(
        spoilt(tiff_file(values, extratags=FIELDS), code=42113, **changes), LIMITS
    )

    np.testing.assert_array_equal(raster.values[:, :, 0], values)
    with pytest.raises(InvalidImageError, match=r"no-data value .* must be readable, or another"):
        find_valid(raster)
    assert find_valid(raster, "none").all()
    assert find_valid(raster, 2).tolist() == [[True, False, True]]


def test_a_mask_needs_no_nodata_value_that_can_be_read():
    data = spoilt(tiff_file(np.array([[0, 7]], np.uint8), extratags=FIELDS), code=42113, kind=99)

    assert decode_mask(data, LIMITS).tolist() == [[False, True]]
