import numpy as np
import pytest
from PIL import Image

from lacuna.errors import InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from tests.support.images import noise, picture_file, saved, smooth

LIMITS = ImageLimits()


def test_lossless_colours_come_back_exactly():
    rgb = noise(37, 53, 3)
    raster = decode_image(picture_file(rgb, "WEBP", lossless=True), LIMITS)
    np.testing.assert_array_equal(raster.values, rgb)
    assert (raster.valid, raster.full_scale) == (None, 255)


def test_lossy_colours_come_back_within_what_webp_loses():
    rgb = smooth(37, 53)
    raster = decode_image(picture_file(rgb, "WEBP", quality=95), LIMITS)
    assert np.abs(raster.values.astype(int) - rgb).max() <= 12


@pytest.mark.parametrize("lossless", [False, True])
def test_alpha_above_zero_is_valid(lossless):
    rgba = np.dstack([smooth(37, 53), 255 * (noise(37, 53) > 128).astype(np.uint8)])
    raster = decode_image(picture_file(rgba, "WEBP", lossless=lossless), LIMITS)
    np.testing.assert_array_equal(raster.valid, rgba[:, :, 3] > 0)
    assert raster.channels == 3


def test_an_animation_is_refused():
    frames = [Image.fromarray(noise(5, 7, 3, seed=seed)) for seed in range(2)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidImageError, match="WebP must hold one image; it is animated"):
        decode_image(data, LIMITS)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("kept", [12, 20, 31, 60, -2])
def test_a_file_cut_short_is_refused(kept, lossless):
    data = picture_file(noise(37, 53, 3), "WEBP", lossless=lossless)
    with pytest.raises(InvalidImageError, match="WebP must be whole and undamaged"):
        decode_image(data[:kept], LIMITS)


def test_a_chunk_longer_than_the_file_is_refused():
    data = bytearray(picture_file(noise(5, 7, 3), "WEBP", lossless=True))
    data[16:20] = b"\xff\xff\xff\x7f"
    with pytest.raises(InvalidImageError, match="WebP must be whole"):
        decode_image(bytes(data), LIMITS)
