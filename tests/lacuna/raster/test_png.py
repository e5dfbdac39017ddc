import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lacuna.errors import InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from tests.support.images import noise, picture_file, png_chunk, png_file, saved

LIMITS = ImageLimits()


def test_eight_bit_grey_has_one_channel_and_no_mask():
    grey = noise(5, 7)
    raster = decode_image(picture_file(grey, "PNG"), LIMITS)
    np.testing.assert_array_equal(raster.values, grey[:, :, None])
    assert (raster.values.dtype, raster.valid, raster.full_scale) == (np.uint8, None, 255)


@pytest.mark.parametrize(
    ("depth", "row", "expected"),
    [
        (1, 0b10100000, [255, 0, 255]),
        (2, 0b00011000, [0, 85, 170]),
    ],
)
def test_fewer_bits_are_spread_over_the_whole_scale(depth, row, expected):
    raster = decode_image(png_file(1, 3, depth, 0, [bytes([row])]), LIMITS)
    assert raster.values[0, :, 0].tolist() == expected


def test_four_bits_are_spread_over_the_whole_scale():
    raster = decode_image(png_file(1, 2, 4, 0, [b"\x1f"]), LIMITS)
    assert raster.values[0, :, 0].tolist() == [17, 255]


def test_rgb_keeps_its_values():
    rgb = noise(5, 7, 3)
    np.testing.assert_array_equal(decode_image(picture_file(rgb, "PNG"), LIMITS).values, rgb)


def test_alpha_above_zero_is_valid():
    rgba = noise(5, 7, 4)
    rgba[1:3, :, 3] = 0
    raster = decode_image(picture_file(rgba, "PNG"), LIMITS)
    np.testing.assert_array_equal(raster.values, rgba[:, :, :3])
    np.testing.assert_array_equal(raster.valid, rgba[:, :, 3] > 0)


def test_grey_with_alpha_has_one_channel():
    grey, alpha = noise(5, 7), noise(5, 7, seed=1) // 128
    picture = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    raster = decode_image(saved(picture, "PNG"), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], grey)
    np.testing.assert_array_equal(raster.valid, alpha > 0)


def test_a_palette_is_looked_up():
    indices = noise(5, 7) % 3
    picture = Image.fromarray(indices)
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    raster = decode_image(saved(picture, "PNG"), LIMITS)
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    np.testing.assert_array_equal(raster.values, colours[indices])
    assert raster.valid is None


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128])], ids=["entry", "table"])
def test_a_transparent_palette_entry_is_not_valid(transparency):
    indices = noise(5, 7) % 3
    picture = Image.fromarray(indices)
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    raster = decode_image(saved(picture, "PNG", transparency=transparency), LIMITS)
    np.testing.assert_array_equal(raster.valid, indices != 1)


def test_a_grey_colour_key_is_not_valid():
    grey = noise(5, 7) % 4
    raster = decode_image(picture_file(grey, "PNG", transparency=2), LIMITS)
    np.testing.assert_array_equal(raster.valid, grey != 2)


def test_a_colour_key_below_eight_bits_is_compared_before_spreading():
    key = png_chunk(b"tRNS", b"\0\2")
    raster = decode_image(png_file(1, 4, 2, 0, [bytes([0b00011011])], key), LIMITS)
    assert raster.valid is not None
    assert raster.valid.tolist() == [[True, True, False, True]]


def test_an_rgb_colour_key_is_not_valid():
    rgb = noise(5, 7, 3)
    key = tuple(int(level) for level in rgb[2, 3])
    raster = decode_image(picture_file(rgb, "PNG", transparency=key), LIMITS)
    np.testing.assert_array_equal(raster.valid, (rgb != rgb[2, 3]).any(axis=2))


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_their_depth(channels):
    values = noise(5, 7, channels, dtype=np.uint16)
    raster = decode_image(imagecodecs.png_encode(values.squeeze()), LIMITS)
    np.testing.assert_array_equal(raster.values, values)
    assert (raster.values.dtype, raster.full_scale) == (np.uint16, 65535)


def test_sixteen_bit_alpha_is_validity():
    values = noise(5, 7, 4, dtype=np.uint16)
    values[0, :, 3] = 0
    raster = decode_image(imagecodecs.png_encode(values), LIMITS)
    np.testing.assert_array_equal(raster.values, values[:, :, :3])
    np.testing.assert_array_equal(raster.valid, values[:, :, 3] > 0)


def test_an_animation_is_refused():
    frames = [Image.fromarray(noise(5, 7, seed=seed)) for seed in range(2)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidImageError, match="must hold one image; it is animated"):
        decode_image(data, LIMITS)


def test_a_damaged_chunk_is_refused_by_its_checksum():
    data = bytearray(picture_file(noise(5, 7), "PNG"))
    data[data.index(b"IDAT") + 6] ^= 1
    with pytest.raises(InvalidImageError, match="PNG must be whole and undamaged"):
        decode_image(bytes(data), LIMITS)


@pytest.mark.parametrize("kept", [9, 20, 40, -13, -1])
def test_a_file_cut_short_is_refused(kept):
    with pytest.raises(InvalidImageError, match="PNG must be whole"):
        decode_image(picture_file(noise(5, 7), "PNG")[:kept], LIMITS)


def test_fewer_pixels_than_the_header_says_are_refused():
    with pytest.raises(InvalidImageError, match="PNG must be whole"):
        decode_image(png_file(2, 3, 8, 0, [b"abc"]), LIMITS)


def test_a_header_without_pixels_is_refused():
    with pytest.raises(InvalidImageError, match="at least one pixel; it is 0×7"):
        decode_image(png_file(0, 7, 8, 0, []), LIMITS)


def test_a_first_chunk_that_is_no_header_is_refused():
    with pytest.raises(InvalidImageError, match="must begin with its header"):
        decode_image(picture_file(noise(5, 7), "PNG").replace(b"IHDR", b"IHDX"), LIMITS)
