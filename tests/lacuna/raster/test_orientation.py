import numpy as np
import pytest
from PIL import Image, ImageOps

from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.orientation import read_orientation, turn_upright
from lacuna.raster.raster import Raster
from tests.support.images import exif_orientation, noise, picture_file, saved, tiff_file

LIMITS = ImageLimits()


def upright(values, orientation):
    """What Pillow makes of it."""
    picture = Image.fromarray(values)
    picture.getexif()[274] = orientation
    return np.array(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_pillow_turns_them(orientation):
    values = noise(5, 7, 3)
    raster = turn_upright(Raster(values), orientation)
    np.testing.assert_array_equal(raster.values, upright(values, orientation))


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_undefined_orientation_changes_nothing(orientation):
    raster = Raster(noise(5, 7, 3))
    assert turn_upright(raster, orientation) is raster


def test_validity_is_turned_with_the_image():
    values = noise(5, 7, 1)
    raster = turn_upright(Raster(values, values[:, :, 0] > 99), 6)
    np.testing.assert_array_equal(raster.valid, raster.values[:, :, 0] > 99)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_pictures_are_turned_by_their_exif(kind):
    values = np.repeat(np.repeat(noise(2, 3), 16, axis=0), 16, axis=1)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = picture_file(values, kind, exif=exif_orientation(8), **options)
    expected = upright(values, 8)
    decoded = decode_image(data, LIMITS).values[:, :, 0]
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= (40 if kind == "JPEG" else 0)


def test_tiffs_are_turned_by_their_own_tag():
    values = noise(5, 7)
    data = tiff_file(values, extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(decode_image(data, LIMITS).values[:, :, 0], upright(values, 6))


def test_exif_written_the_other_way_round_is_read():
    exif = Image.Exif()
    exif.endian = ">"
    exif[274] = 5
    assert read_orientation(exif.tobytes()) == 5


@pytest.mark.parametrize(
    "blob", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif_orientation(6)[:20]]
)
def test_a_damaged_exif_turns_nothing(blob):
    assert read_orientation(blob) == 1


def test_a_damaged_exif_does_not_spoil_the_picture():
    data = saved(Image.fromarray(noise(16, 16)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert decode_image(data, LIMITS).size == (16, 16)
