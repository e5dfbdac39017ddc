"""LERC, LZMA and WebP in TIFF, as GDAL writes and reads them."""

import io
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from lacuna.errors import InvalidImageError
from lacuna.raster.adapt import find_valid
from lacuna.raster.images import ImageFile, decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from tests.support.images import noise, tiff_file
from tests.support.rasters import gdal_file, read_with_gdal

LIMITS = ImageLimits()
LERC = ["LERC", "LERC_DEFLATE", "LERC_ZSTD"]
LAYOUTS = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "planes": {"interleave": "band", "tiled": True, "blockxsize": 16, "blockysize": 32},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("compression", [*LERC, "LZMA"])
def test_numbers_come_back_as_gdal_reads_them(compression, dtype, layout):
    values = noise(70, 90, 2, dtype=dtype)
    if np.dtype(dtype).kind == "f":
        values[3:9, 4:20] = np.nan
    data = gdal_file(values, compress=compression, **LAYOUTS[layout])

    raster = decode_image(data, LIMITS)

    expected, _ = read_with_gdal(data)
    np.testing.assert_array_equal(raster.values, expected.astype(raster.values.dtype))
    np.testing.assert_array_equal(find_valid(raster), np.isfinite(expected).all(axis=2))


@pytest.mark.parametrize("compression", LERC)
def test_loss_within_a_bound_comes_back_as_gdal_reads_it(compression):
    values = noise(70, 90, 3, dtype="float32")
    data = gdal_file(values, compress=compression, MAX_Z_ERROR="0.1")

    raster = decode_image(data, LIMITS)

    np.testing.assert_array_equal(raster.values, read_with_gdal(data)[0])
    np.testing.assert_allclose(raster.values, values, atol=0.1)
    assert raster.is_lossy is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("opaque", [True, False], ids=["opaque or not", "levels"])
def test_alpha_that_lerc_keeps_as_a_mask_tells_valid_pixels(dtype, opaque):
    values = noise(40, 50, 4, dtype=dtype)
    if opaque:
        values[:, :, 3] = np.where(values[:, :, 3] % 3 > 0, np.iinfo(dtype).max, 0)
    data = gdal_file(values, compress="LERC", PHOTOMETRIC="RGB", ALPHA="YES")

    raster = decode_image(data, LIMITS)

    expected, valid = read_with_gdal(data)
    np.testing.assert_array_equal(raster.values, expected[:, :, :3])
    np.testing.assert_array_equal(raster.valid, valid)


@pytest.mark.parametrize("predictor", [1, 2])
def test_lzma_is_read_with_a_predictor(predictor):
    values = noise(70, 90, 3, dtype="uint16")
    data = gdal_file(values, compress="LZMA", predictor=predictor)

    np.testing.assert_array_equal(decode_image(data, LIMITS).values, values)


# GDAL 3.10 does not read the last strip if it is shorter than the others.
@pytest.mark.parametrize("lossless", ["YES", "NO"])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("layout", [{"blockysize": 32}, LAYOUTS["tiles"]], ids=["strips", "tiles"])
def test_webp_comes_back_as_gdal_reads_it(lossless, bands, layout):
    values = np.kron(noise(16, 24, bands), np.ones((4, 4, 1), np.uint8))
    values[:, :, 3:] = np.where(values[:, :, 3:] > 60, 255, 0)
    data = gdal_file(values, compress="WEBP", WEBP_LOSSLESS=lossless, **layout)

    raster = decode_image(data, LIMITS)

    expected, valid = read_with_gdal(data)
    np.testing.assert_array_equal(raster.values, expected[:, :, :3])
    np.testing.assert_array_equal(find_valid(raster), valid)


def test_a_sparse_file_is_filled_as_gdal_fills_it():
    values = np.zeros((64, 64, 1), np.float32)
    values[:16, :32] = 5
    for compression in ("LERC", "LZMA"):
        data = gdal_file(
            values, compress=compression, nodata=0, SPARSE_OK="TRUE", **LAYOUTS["tiles"]
        )
        raster = decode_image(data, LIMITS)
        np.testing.assert_array_equal(raster.values, values)
        np.testing.assert_array_equal(find_valid(raster), values[:, :, 0] > 0)


def test_a_mask_of_three_values_in_lossy_webp_is_cut_at_half_of_white():
    grey = np.zeros((32, 32, 1), np.uint8)
    grey[:, 16:] = 255
    data = gdal_file(np.repeat(grey, 3, axis=2), compress="WEBP", WEBP_LOSSLESS="NO")

    np.testing.assert_array_equal(decode_mask(data, LIMITS), grey[:, :, 0] > 0)


def replace_segment(data, segment):
    """A file of one strip whose bytes are others."""
    changed = bytearray(data) + segment
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for tag, value in ((273, len(data)), (279, len(segment))):
            offset = file.pages[0].tags[tag].offset
            changed[offset + 2 : offset + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(changed)


BIG = np.zeros((4000, 4000), np.float32)
LERC_FILE = gdal_file(noise(16, 16, 1, dtype="float32"), compress="LERC", blockysize=16)
DEFLATED_FILE = gdal_file(noise(16, 16, 1, dtype="float32"), compress="LERC_DEFLATE", blockysize=16)
ZSTANDARD_FILE = gdal_file(noise(16, 16, 1, dtype="float32"), compress="LERC_ZSTD", blockysize=16)
LZMA_FILE = gdal_file(noise(16, 16, 1, dtype="float32"), compress="LZMA", blockysize=16)
WEBP_FILE = gdal_file(noise(16, 16, 3), compress="WEBP", blockysize=16)
LIARS = {
    "lerc": lambda: replace_segment(LERC_FILE, imagecodecs.lerc_encode(BIG)),
    "deflate": lambda: replace_segment(DEFLATED_FILE, zlib.compress(bytes(64 << 20))),
    "zstandard": lambda: replace_segment(ZSTANDARD_FILE, imagecodecs.zstd_encode(bytes(64 << 20))),
    "lzma": lambda: replace_segment(LZMA_FILE, imagecodecs.lzma_encode(bytes(64 << 20))[:9000]),
    "webp": lambda: replace_segment(
        WEBP_FILE, imagecodecs.webp_encode(np.zeros((4000, 4000, 3), np.uint8), lossless=True)
    ),
}


@pytest.mark.parametrize("kind", LIARS)
def test_a_strip_that_holds_more_than_it_should_is_not_decoded_beyond_it(kind):
    data = LIARS[kind]()
    tracemalloc.start()
    try:
        if kind == "lzma":  # like Deflate, it is read as far as the image goes
            decode_image(data, LIMITS)
        else:
            with pytest.raises(InvalidImageError, match="TIFF must be whole and undamaged"):
                decode_image(data, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


DAMAGES = {
    "no LERC": replace_segment(LERC_FILE, b"CntZImage " + bytes(90)),
    "cut short": replace_segment(LERC_FILE, imagecodecs.lerc_encode(BIG[:16, :16])[:20]),
    "another dtype": replace_segment(
        LERC_FILE, imagecodecs.lerc_encode(np.zeros((16, 16), np.uint8))
    ),
    "too many bands": replace_segment(
        LERC_FILE, imagecodecs.lerc_encode(np.zeros((16, 16, 2), np.float32), planar=False)
    ),
    "no WebP": replace_segment(WEBP_FILE, bytes(90)),
    "no LZMA": replace_segment(LZMA_FILE, bytes(90)),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_refused(kind):
    with pytest.raises(InvalidImageError, match="TIFF must be whole and undamaged"):
        decode_image(DAMAGES[kind], LIMITS)


def test_the_tile_of_a_small_image_is_not_larger_than_an_image_may_be():
    data = tiff_file(noise(16, 16, 3), compression="webp", photometric="rgb", tile=(512, 1024))

    with pytest.raises(Exception, match="tiles must be no larger"):
        ImageFile(data).read_header(ImageLimits(image_pixels=400))
