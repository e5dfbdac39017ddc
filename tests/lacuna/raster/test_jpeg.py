import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lacuna.errors import InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.jpeg import MAX_SCANS, read_frame
from lacuna.raster.limits import ImageLimits
from tests.support.images import noise, picture_file, saved, skimage_file, smooth

LIMITS = ImageLimits()


def jpeg(values, **options):
    return picture_file(values, "JPEG", quality=95, subsampling=0, **options)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("progressive", [False, True])
def test_colours_come_back_within_what_jpeg_loses(channels, progressive):
    values = smooth(37, 53, channels)
    raster = decode_image(jpeg(values.squeeze(), progressive=progressive), LIMITS)
    assert raster.values.shape == values.shape
    assert raster.values.dtype == np.uint8
    assert np.abs(raster.values.astype(int) - values).max() <= 6
    assert (raster.valid, raster.full_scale) == (None, 255)


def test_cmyk_becomes_rgb_with_white_paper_white():
    # Pillow writes CMYK as Photoshop does, inverted, with an Adobe marker.
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, 8:, 0] = 255
    data = saved(Image.frombytes("CMYK", (16, 16), inks.tobytes()), "JPEG", quality=95)
    values = decode_image(data, LIMITS).values.astype(int)
    assert np.abs(values[:, :7] - [255, 255, 255]).max() <= 6
    assert np.abs(values[:, 9:] - [0, 255, 255]).max() <= 6


def test_ycck_becomes_rgb():
    # Inverted inks: 255 is no ink, as Adobe has it.
    inks = np.full((16, 16, 4), 255, np.uint8)
    inks[:, 8:, 0] = 0
    data = imagecodecs.jpeg8_encode(inks, level=95, colorspace="CMYK", outcolorspace="YCCK")
    values = decode_image(data, LIMITS).values.astype(int)
    assert np.abs(values[:, :6] - [255, 255, 255]).max() <= 12
    assert np.abs(values[:, 10:] - [0, 255, 255]).max() <= 12


def test_the_first_of_several_pictures_is_taken():
    first, second = (Image.fromarray(smooth(16, 16) // scale) for scale in (1, 2))
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    raster = decode_image(data, LIMITS)
    assert np.abs(raster.values.astype(int) - smooth(16, 16)).max() <= 12


@pytest.mark.parametrize("kept", [3, 30, 300, -200])
def test_a_file_cut_short_is_refused(kept):
    data = jpeg(noise(37, 53, 3))
    with pytest.raises(InvalidImageError, match="JPEG must be whole and undamaged"):
        decode_image(data[:kept], LIMITS)


def test_twelve_bits_are_refused():
    data = bytearray(jpeg(smooth(8, 8)))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(InvalidImageError, match="8 bits per sample; it has 12"):
        decode_image(bytes(data), LIMITS)


def test_thousands_of_scans_are_refused_before_decoding():
    data = jpeg(smooth(8, 8), progressive=True)
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(InvalidImageError, match=f"at most {MAX_SCANS} scans"):
        decode_image(data[:-2] + 200 * scan + data[-2:], LIMITS)


def test_a_video_behind_the_end_of_the_picture_is_no_concern():
    data = jpeg(smooth(37, 53), progressive=True)
    video = np.random.default_rng(0).bytes(9 << 20)
    assert video.count(b"\xff\xda") > MAX_SCANS

    raster = decode_image(data + video, LIMITS)

    np.testing.assert_array_equal(raster.values, decode_image(data, LIMITS).values)


COMMENT = b"\xff\xfe\0\x04\xff\xd9"  # a comment of the two bytes that would end the picture


@pytest.mark.parametrize("between", [COMMENT, b"\xff\x02\xff\xff", b"\xff\xff\xff", b"\xff\xd3"])
def test_scans_are_counted_to_the_end_of_the_picture_whatever_stands_between_them(between):
    data = jpeg(smooth(8, 8), progressive=True)
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(InvalidImageError, match=f"at most {MAX_SCANS} scans"):
        decode_image(data[:-2] + 200 * (between + scan) + data[-2:], LIMITS)


def test_a_second_header_of_another_size_is_refused():
    data = jpeg(smooth(8, 8))
    at = data.index(b"\xff\xc0")
    length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    header = bytearray(data[at : at + length])
    header[5:9] = b"\xff\xff\xff\xff"
    with pytest.raises(InvalidImageError, match="JPEG must be whole"):
        decode_image(data[: at + length] + bytes(header) + data[at + length :], LIMITS)


def test_the_frame_header_is_found_behind_padding_and_other_markers():
    data = jpeg(smooth(37, 53))
    frame = read_frame(data[:2] + b"\xff\xff" + data[2:])
    assert (frame.height, frame.width, frame.components, frame.precision) == (37, 53, 3, 8)


def test_a_scan_before_any_frame_header_is_refused():
    with pytest.raises(ValueError, match="no frame header"):
        read_frame(b"\xff\xd8\xff\xda\0\2")


def test_a_retina_photograph_decodes_as_pillow_decodes_it():
    data = skimage_file("retina.jpg").read_bytes()
    expected = np.array(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode_image(data, LIMITS).values, expected)
