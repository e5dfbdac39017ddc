import contextlib
import io
import struct
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lacuna.errors import RequestError
from lacuna.raster.adapt import fit_to_model
from lacuna.raster.images import decode_image
from lacuna.raster.limits import UNLIMITED
from model.data.reading import read_image, read_labels, read_mask

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 3), np.uint16)
IDS = RNG.integers(0, 4, (5, 7), np.uint8)


def png(values, mode=None, **options):
    buffer = io.BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values, mode)
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(COLOURS), COLOURS),
        (png(COLOURS[..., 0]), COLOURS[..., :1]),
        (imagecodecs.png_encode(DEEP), DEEP),
        (tiff(DEEP, photometric="rgb"), DEEP),
        (tiff(COLOURS, photometric="rgb", compression="deflate"), COLOURS),
        (
            tiff(np.moveaxis(DEEP, 2, 0), photometric="minisblack", planarconfig="separate"),
            DEEP,
        ),
        (tiff(COLOURS[..., 0], photometric="miniswhite"), 255 - COLOURS[..., :1]),
        (npy(DEEP), DEEP),
        (npy(DEEP.astype(">u2")), DEEP),
        (npy(COLOURS[..., 0].astype(np.int64) - 7), COLOURS[..., :1].astype("f4") - 7),
    ],
)
def test_an_image_has_the_values_of_its_file(data, expected):
    raster = read_image(data)

    np.testing.assert_array_equal(raster.values, expected)
    assert raster.values.dtype == expected.dtype
    assert raster.valid.all()


def test_a_jpeg_is_read_upright():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6  # the sensor lay on its side: to be turned a quarter clockwise
    stored = np.repeat(np.repeat(np.array([[0, 255, 0]], np.uint8), 16, 0), 16, 1)
    Image.fromarray(stored).save(buffer, "JPEG", quality=100, exif=exif)

    values = read_image(buffer.getvalue()).values

    assert values.shape == (48, 16, 1)
    np.testing.assert_allclose(values[..., 0], stored.T, atol=4)


def test_alpha_the_no_data_value_and_what_is_not_finite_are_invalid():
    alpha = np.full((5, 7), 255, np.uint8)
    alpha[0] = 0
    clear = read_image(png(np.dstack([COLOURS, alpha])))
    np.testing.assert_array_equal(clear.valid, alpha > 0)
    assert clear.values.shape == (5, 7, 3)

    holes = DEEP.astype(np.float32)
    holes[1, 1, 0], holes[2, 2], holes[3, 3, 2] = np.nan, -9999, np.inf
    valid = read_image(npy(holes), nodata=-9999).valid
    assert np.argwhere(~valid).tolist() == [[1, 1], [2, 2], [3, 3]]


def test_a_tiff_tells_its_own_no_data_value():
    values = DEEP[..., 0].copy()
    values[2, 3] = 0
    data = tiff(values, extratags=[(42113, "s", 0, "0", True)])

    np.testing.assert_array_equal(read_image(data).valid, values != 0)


def test_a_tiff_brings_its_mask():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(DEEP, photometric="rgb", metadata=None)
        writer.write(IDS > 0, subfiletype=4, photometric="minisblack", metadata=None)

    raster = read_image(buffer.getvalue())
    np.testing.assert_array_equal(raster.values, DEEP)
    np.testing.assert_array_equal(raster.valid, IDS > 0)


def test_a_pixel_is_missing_only_if_all_its_channels_hold_the_no_data_value():
    values = np.array([[[0, 0, 0], [0, 0, 9]]], np.uint8)

    assert read_image(npy(values), nodata=0).valid.tolist() == [[False, True]]


def palette_png():
    image = Image.fromarray(IDS, "P")
    image.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200, 90, 90, 90])
    return png(image)


@pytest.mark.parametrize(
    "data",
    [
        (png(IDS)),
        (palette_png()),
        (png(IDS.astype(np.uint16))),
        (tiff(IDS)),
        (npy(IDS.astype(np.int64))),
    ],
)
def test_labels_are_what_is_stored(data):
    np.testing.assert_array_equal(read_labels(data), IDS)


def test_grey_labels_of_two_bits_are_not_spread():
    # Signature, IHDR of 4×1 pixels, 2 bits, grey; 0 1 2 3 is 0b00011011.
    data = imagecodecs.png_encode(np.zeros((1, 4), np.uint8))

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0))
    data = data[:8] + header + chunk(b"IDAT", zlib.compress(b"\0\x1b")) + chunk(b"IEND", b"")

    assert read_labels(data).tolist() == [[0, 1, 2, 3]]


def test_every_value_of_a_mask_but_zero_means_valid():
    mask = IDS > 0
    for data in [(png(IDS)), (png(mask)), (npy(mask))]:
        np.testing.assert_array_equal(read_mask(data), mask)


@pytest.mark.parametrize(
    ("read", "data", "message"),
    [
        (read_image, png(COLOURS)[:60], "cannot be decoded"),
        (read_image, b"", "it has 0 bytes"),
        (read_image, tiff(DEEP, photometric="rgb")[:100], "cannot be decoded"),
        (read_image, npy(np.zeros(3)), r"\(H, W\), \(H, W, C\) or \(1, H, W, C\)"),
        (
            read_image,
            npy(np.zeros((2, 2), complex)),
            "integers or floating-point numbers",
        ),
        (read_labels, png(COLOURS), "one channel; there are 3"),
        (read_labels, npy(IDS.astype("f4")), "whole numbers"),
        (read_mask, png(COLOURS), "3 that differ"),
        (read_image, tiff(np.stack([IDS, IDS]), metadata=None), "holds 2"),
    ],
)
def test_what_cannot_be_taken_is_refused(read, data, message):
    with pytest.raises(RequestError, match=message):
        read(data)


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, "JPEG")
    return buffer.getvalue()


WHOLE = [
    (png(COLOURS)),
    (palette_png()),
    (imagecodecs.png_encode(DEEP)),
    (jpeg()),
    (tiff(DEEP, photometric="rgb", compression="lzw", predictor=True)),
    (tiff(IDS)),
    (npy(IDS)),
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=3),
    st.floats(0, 1),
)
def test_damage_ends_in_one_kind_of_error(whole, patches, kept):
    data = bytearray(whole)
    for place, patch in patches:
        start = int(place * len(data))
        data[start : start + len(patch)] = patch
    if kept < 0.5:
        del data[int(2 * kept * len(data)) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        for read in (read_image, read_labels, read_mask):
            with contextlib.suppress(RequestError):
                read(bytes(data))


@pytest.mark.parametrize(("bits", "white"), [(5, 255), (10, 65535), (12, 65535)])
def test_pictures_of_other_depths_are_scaled_as_the_server_scales_them(bits, white):
    values = DEEP[..., 0] >> (16 - bits)
    stored = values.astype(np.uint8 if bits < 8 else np.uint16)
    data = imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits)

    read = read_image(data).values[..., 0]
    assert read.dtype == (np.uint8 if white == 255 else np.uint16)
    np.testing.assert_array_equal(read, np.rint(values / (2**bits - 1) * white))
    served, _ = fit_to_model(decode_image(data, UNLIMITED), 1, str(read.dtype))
    np.testing.assert_allclose(read, served[..., 0], atol=0.51)
