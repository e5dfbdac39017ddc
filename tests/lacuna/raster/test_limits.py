import struct
import subprocess
import sys
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.arrays import array_from_nested
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits, check_size
from tests.support.images import noise, npy_header, picture_file, png_file, smooth, tiff_file

LIMITS = ImageLimits()
SIDE = 100_000


def huge_png():
    return png_file(SIDE, SIDE, 8, 2, [b"abc"])


def huge_tiff():
    data = bytearray(tiff_file(np.zeros((70_000, 1), np.uint8), rowsperstrip=70_000))
    # Width and height are LONG or SHORT, inline, in the first directory.
    (directory,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, directory)
    for at in range(directory + 2, directory + 2 + 12 * tags, 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HII", data, at + 2, 4, 1, SIDE)
    return bytes(data)


def huge_jpeg():
    data = bytearray(picture_file(smooth(16, 16), "JPEG"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65_500, 65_500)
    return bytes(data)


def huge_webp():
    data = bytearray(picture_file(smooth(16, 16), "WEBP", lossless=True))
    struct.pack_into("<I", data, 21, 0x0FFFFFFF)
    return bytes(data)


def huge_extended_webp():
    data = bytearray(picture_file(noise(16, 16, 4), "WEBP", quality=80))
    assert data[12:16] == b"VP8X"
    data[24:30] = (SIDE - 1).to_bytes(3, "little") * 2
    return bytes(data)


def huge_npy():
    return npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({SIDE}, {SIDE}), }}")


@contextmanager
def a_small_and_quick_answer():
    tracemalloc.start()
    start = time.process_time()
    try:
        yield
    finally:
        seconds = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2_000_000
    assert seconds < 0.5


@pytest.mark.parametrize(
    "build", [huge_png, huge_tiff, huge_jpeg, huge_webp, huge_extended_webp, huge_npy]
)
def test_a_huge_image_is_refused_by_its_header_without_being_allocated(build):
    data = build()
    with a_small_and_quick_answer(), pytest.raises(ImageTooLargeError, match="at most 16777216"):
        decode_image(data, LIMITS)


BESIDE_A_LIMIT_OF_PILLOWS = """
import sys
from pathlib import Path

import PIL.Image

from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits

PIL.Image.MAX_IMAGE_PIXELS = 10
sizes = {decode_image(Path(name).read_bytes(), ImageLimits()).size for name in sys.argv[1:]}
assert sizes == {(37, 53)}, sizes
"""


def test_pillows_own_limit_does_not_stand_in_the_way(tmp_path):
    paths = [tmp_path / kind for kind in ("PNG", "JPEG", "WEBP")]
    for path in paths:
        path.write_bytes(picture_file(smooth(37, 53), path.name))

    subprocess.run(
        [sys.executable, "-W", "error", "-c", BESIDE_A_LIMIT_OF_PILLOWS, *paths], check=True
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "NPY"])
def test_one_pixel_too_many_is_too_many(kind):
    values = smooth(4, 5)
    data = npy(values) if kind == "NPY" else picture_file(values, kind)
    assert decode_image(data, ImageLimits(image_pixels=20)).size == (4, 5)
    with pytest.raises(ImageTooLargeError, match="at most 19 pixels; it is 4×5, 20 pixels"):
        decode_image(data, ImageLimits(image_pixels=19))


def npy(values):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {values.shape}, }}"
    return npy_header(header) + values.tobytes()


@pytest.mark.parametrize(
    "build", [npy, lambda v: tiff_file(v, photometric="minisblack", planarconfig="contig")]
)
def test_one_channel_too_many_is_too_many(build):
    data = build(noise(4, 5, 7))
    with pytest.raises(ImageTooLargeError, match="at most 6 channels; it has 7"):
        decode_image(data, ImageLimits(image_channels=6))


def test_many_channels_are_not_had_together_with_many_pixels():
    check_size(LIMITS, 4096, 4096, 4)
    with pytest.raises(ImageTooLargeError, match="at most 67108864 samples"):
        check_size(LIMITS, 4096, 4096, 5)


@pytest.mark.parametrize("size", [(0, 5, 1), (5, 0, 1), (5, 5, 0), (-1, -1, 1)])
def test_an_image_without_pixels_is_refused(size):
    with pytest.raises(InvalidImageError, match="at least one pixel"):
        check_size(LIMITS, *size)


def test_nested_lists_are_counted_before_they_are_converted():
    row = [0.0] * 1000
    with a_small_and_quick_answer(), pytest.raises(ImageTooLargeError, match="1000×1000"):
        array_from_nested([row] * 1000, ImageLimits(image_pixels=999_999))


@pytest.mark.parametrize("make", [huge_png, huge_tiff, huge_jpeg, huge_webp, huge_npy])
def test_a_models_own_limit_is_held_against_the_header_and_names_the_model(make):
    limits = ImageLimits(image_pixels=1 << 40).narrow("field", 1000)

    with pytest.raises(ImageTooLargeError, match="image for model field must have at most 1000 pi"):
        decode_image(make(), limits)


def test_a_models_own_limit_leaves_channels_and_samples_as_they_are():
    limits = ImageLimits(image_pixels=1000, image_channels=20).narrow("field", 100)

    check_size(limits, 10, 10, 20)
    with pytest.raises(ImageTooLargeError, match="at most 20 channels"):
        check_size(limits, 10, 10, 21)
    with pytest.raises(ImageTooLargeError, match="at most 4000 samples"):
        check_size(ImageLimits(1000, 64).narrow("field", 100), 10, 10, 41)


def test_a_model_without_a_limit_of_its_own_has_the_servers():
    assert LIMITS.narrow("field", None) is LIMITS
    assert (LIMITS.most_pixels, LIMITS.whose) == (LIMITS.image_pixels, "")
