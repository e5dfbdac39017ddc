"""Damaged files of every format: an image or an error of the request, and nothing else."""

import logging
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lacuna.errors import RequestError
from lacuna.raster.formats import FORMATS
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.raster import Raster
from lacuna.raster.sniff import sniff
from tests.support.images import (
    exif_orientation,
    noise,
    npy_file,
    picture_file,
    saved,
    smooth,
    tiff_file,
)

# Small, so that a flipped bit in a header cannot make a test allocate much.
LIMITS = ImageLimits(image_pixels=1 << 16, image_channels=8)

GREY, RGB, RGBA = noise(12, 16), noise(12, 16, 3), noise(12, 16, 4)

FILES = {
    "png": picture_file(RGBA, "PNG", exif=exif_orientation(6)),
    "png palette": saved(Image.fromarray(GREY).convert("P"), "PNG", transparency=3),
    "jpeg": picture_file(smooth(12, 16), "JPEG", exif=exif_orientation(6)),
    "jpeg progressive": picture_file(GREY, "JPEG", progressive=True),
    "jpeg cmyk": saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "webp lossless": picture_file(RGBA, "WEBP", lossless=True, exif=exif_orientation(6)),
    "webp lossy": picture_file(RGBA, "WEBP"),
    "jp2": picture_file(RGBA, "JPEG2000"),
    "j2k": picture_file(GREY, "JPEG2000", no_jp2=True),
    "tiff": tiff_file(RGB, photometric="rgb"),
    "tiff tiled": tiff_file(GREY, tile=(16, 16), compression="deflate", predictor=True),
    "tiff lzw": tiff_file(noise(12, 16, dtype=np.uint16), compression="lzw", byteorder=">"),
    "tiff packbits": tiff_file(GREY, compression="packbits", photometric="miniswhite"),
    "tiff jpeg": tiff_file(smooth(12, 16), compression="jpeg", photometric="rgb"),
    "tiff bilevel": saved(Image.fromarray(GREY > 128), "TIFF", compression="group4"),
    "tiff palette": saved(Image.fromarray(GREY).convert("P"), "TIFF"),
    "tiff nodata": tiff_file(
        noise(12, 16, dtype=np.float32), bigtiff=True, extratags=[(42113, 2, 0, "-9999", True)]
    ),
    "npy": npy_file(noise(12, 16, 3, dtype=np.float32)),
    "npy big-endian": npy_file(np.asfortranarray(GREY.astype(">i2"))),
}


def decode_quietly(decode, data):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = decode(data, LIMITS)
        except RequestError:
            result = None
    assert not warned
    return result


def test_every_format_is_among_the_files():
    assert {sniff(data).key for data in FILES.values()} == {form.key for form in FORMATS}


@pytest.mark.parametrize("name", FILES)
def test_the_whole_file_is_an_image(name):
    assert isinstance(decode_quietly(decode_image, FILES[name]), Raster)


@pytest.mark.parametrize("name", FILES)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.data())
def test_damaged_bytes_give_an_image_or_an_error_of_the_request(name, changes, caplog):
    data = bytearray(FILES[name])
    for _ in range(changes.draw(st.integers(1, 4))):
        # The first bytes are drawn more often: headers are where the harm is done.
        limit = changes.draw(st.sampled_from([16, 64, 256, len(data)]))
        position = changes.draw(st.integers(0, min(limit, len(data)) - 1))
        data[position] = changes.draw(st.integers(0, 255))
    with caplog.at_level(logging.WARNING):
        raster = decode_quietly(decode_image, bytes(data))
    assert raster is None or isinstance(raster, Raster)
    assert not caplog.records


@pytest.mark.parametrize("name", FILES)
def test_no_beginning_of_a_file_gives_anything_else(name):
    data = FILES[name]
    step = max(1, len(data) // 60)
    for length in range(0, len(data), step):
        raster = decode_quietly(decode_image, data[:length])
        assert raster is None or isinstance(raster, Raster)


@settings(max_examples=200, deadline=None)
@given(
    magic=st.sampled_from(sorted({data[:12] for data in FILES.values()})),
    rest=st.binary(max_size=200),
)
def test_random_bytes_behind_a_right_beginning_are_refused_or_read(magic, rest):
    for decode in (decode_image, decode_mask):
        decode_quietly(decode, magic + rest)
