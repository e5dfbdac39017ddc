import pytest

from lacuna.errors import EmptyBodyError, InvalidImageError, UnsupportedMediaTypeError
from lacuna.raster.formats import ACCEPTED
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.sniff import sniff
from tests.support.images import noise, npy_file, picture_file, tiff_file

LIMITS = ImageLimits()

FILES = {
    "png": picture_file(noise(5, 7), "PNG"),
    "jpeg": picture_file(noise(5, 7), "JPEG"),
    "webp": picture_file(noise(5, 7, 3), "WEBP"),
    "tiff": tiff_file(noise(5, 7)),
    "npy": npy_file(noise(5, 7)),
    "jpeg2000": picture_file(noise(5, 7), "JPEG2000"),
}


@pytest.mark.parametrize("kind", FILES)
def test_each_format_is_told_by_its_first_bytes(kind):
    assert sniff(FILES[kind]).key == kind


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("bigtiff", [False, True])
def test_every_kind_of_tiff_is_told(byteorder, bigtiff):
    assert sniff(tiff_file(noise(5, 7), byteorder=byteorder, bigtiff=bigtiff)).key == "tiff"


@pytest.mark.parametrize("media_type", ["image/jpeg", "text/plain", "image/gif", None])
def test_what_the_bytes_say_goes_before_what_was_declared(media_type):
    assert decode_image(FILES["png"], LIMITS, media_type).size == (5, 7)


def test_no_bytes_are_an_empty_body():
    with pytest.raises(EmptyBodyError, match="it has 0 bytes"):
        decode_image(b"", LIMITS, "image/png")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (picture_file(noise(5, 7), "GIF"), "GIF"),
        (picture_file(noise(5, 7), "BMP"), "BMP"),
        (picture_file(noise(16, 16, 3), "AVIF"), "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"PK\x03\x04rest of an archive", "NPZ"),
    ],
)
def test_a_known_format_that_is_not_read_is_named(data, name):
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        decode_image(data, LIMITS, "image/png")
    assert caught.value.message.startswith(f"image must be {ACCEPTED}; it is ")
    assert name in caught.value.message


@pytest.mark.parametrize("media_type", ["image/gif", "text/plain", "text/html; charset=utf-8"])
def test_unknown_bytes_of_a_type_that_is_not_read_are_an_unsupported_type(media_type):
    with pytest.raises(UnsupportedMediaTypeError, match="it was declared as"):
        decode_image(b"hello, world", LIMITS, media_type)


@pytest.mark.parametrize(
    "media_type",
    [None, "", "image/png", "IMAGE/PNG", "image/tiff; x=y", "npy", "application/octet-stream"],
)
def test_unknown_bytes_of_an_image_type_or_of_none_are_not_an_image(media_type):
    with pytest.raises(InvalidImageError, match="not an image"):
        decode_image(b"hello, world", LIMITS, media_type)


def test_a_declared_type_is_repeated_only_in_part():
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        sniff(b"hello", "x" * 10_000)
    assert len(caught.value.message) < 200
