import io
import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lacuna.errors import ImageTooLargeError, InvalidImageError, RequestError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.sniff import sniff
from tests.support.images import noise

LIMITS = ImageLimits()


def jp2(values, mode=None, **options):
    """Pillow's encoder, which is not the one that reads."""
    buffer = io.BytesIO()
    Image.fromarray(values, mode).save(buffer, "JPEG2000", **options)
    return buffer.getvalue()


def bare(data):
    """The codestream of a JP2 file, as .j2k files hold it."""
    return data[data.index(b"\xff\x4f\xff\x51") :]


@pytest.mark.parametrize("shape", [(5, 7), (37, 53, 3), (1, 1)])
@pytest.mark.parametrize("strip", [bytes, bare], ids=["jp2", "j2k"])
def test_values_come_back_as_they_were(shape, strip):
    values = noise(*shape)
    data = strip(jp2(values))

    raster = decode_image(data, LIMITS)

    assert sniff(data).key == "jpeg2000"
    np.testing.assert_array_equal(raster.values, np.atleast_3d(values))
    assert (raster.full_scale, raster.valid) == (255, None)


def test_sixteen_bits_are_kept():
    values = noise(5, 7, dtype=np.uint16)

    raster = decode_image(jp2(values), LIMITS)

    np.testing.assert_array_equal(raster.values[..., 0], values)
    assert raster.full_scale == 65535


def test_twelve_bits_are_known_to_be_twelve():
    values = noise(5, 7, dtype=np.uint16) >> 4
    data = imagecodecs.jpeg2k_encode(values, level=0, bitspersample=12)

    raster = decode_image(data, LIMITS)

    np.testing.assert_array_equal(raster.values[..., 0], values)
    assert raster.full_scale == 4095


def test_signed_samples_are_numbers():
    values = noise(5, 7, dtype=np.uint16).astype(np.int16)

    raster = decode_image(imagecodecs.jpeg2k_encode(values, level=0), LIMITS)

    np.testing.assert_array_equal(raster.values[..., 0], values.astype(np.float32))
    assert raster.full_scale is None


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_tells_which_pixels_are_valid(mode):
    values = noise(5, 7, len(mode))
    values[..., -1] = 255
    values[2, 3, -1] = 0

    raster = decode_image(jp2(values, mode), LIMITS)

    np.testing.assert_array_equal(raster.values, values[..., :-1])
    assert np.argwhere(~raster.valid).tolist() == [[2, 3]]


def test_a_mask_with_loss_is_cut_halfway():
    stored = np.zeros((64, 64), np.uint8)
    stored[:, 29:] = 255
    data = jp2(stored, irreversible=True, quality_mode="rates", quality_layers=[20])

    assert np.unique(decode_image(data, LIMITS).values).size > 2
    np.testing.assert_array_equal(decode_mask(data, LIMITS), stored == 255)


def test_a_mask_without_loss_may_hold_ones():
    mask = noise(37, 53) > 100

    np.testing.assert_array_equal(decode_mask(jp2(mask.astype(np.uint8)), LIMITS), mask)


def test_the_header_is_held_to_the_limits_before_anything_is_decoded():
    data = bytearray(jp2(noise(5, 7)))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">II", data, at, 1 << 20, 1 << 20)

    with pytest.raises(ImageTooLargeError, match="1048576×1048576"):
        decode_image(bytes(data), LIMITS)


def test_components_of_several_sizes_are_refused():
    data = bytearray(jp2(noise(5, 7, 3)))
    at = data.index(b"\xff\x4f\xff\x51") + 42
    assert bytes(data[at : at + 3]) == b"\x07\x01\x01"
    data[at + 4 : at + 6] = b"\x02\x02"

    with pytest.raises(InvalidImageError, match="components of one size"):
        decode_image(bytes(data), LIMITS)


def test_what_stands_behind_the_codestream_is_no_concern():
    values = noise(37, 53, 3)
    metadata = struct.pack(">I4s", 12, b"uuid") + b"abcd"

    for behind in (metadata, metadata[:-2], b"garbage"):
        raster = decode_image(jp2(values) + behind, LIMITS)
        np.testing.assert_array_equal(raster.values, values)


@pytest.mark.parametrize("kept", [13, 40, 90, -40])
def test_a_file_that_is_cut_short_is_refused(kept):
    with pytest.raises(InvalidImageError, match="JPEG 2000 must be whole"):
        decode_image(jp2(noise(37, 53))[:kept], LIMITS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), min_size=1))
def test_damage_ends_in_one_kind_of_error(patches):
    data = bytearray(jp2(noise(16, 16, 3)))
    for start, patch in patches:
        data[start : start + len(patch)] = patch
    try:
        raster = decode_image(bytes(data), ImageLimits(image_pixels=1 << 16))
    except RequestError:
        return
    assert raster.values.size
