import io
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from lacuna.client.calls import Question
from lacuna.client.preparation import prepare
from lacuna.client.sources import read_picture, read_source
from lacuna.errors import EmptyBodyError, InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.pillow import decode_for_display
from tests.support.images import noise, picture_file, tiff_file


def decode(source):
    return decode_image(read_source(source), ImageLimits())


def decode_prepared(source):
    return decode(prepare(Question(source)).image)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("I;16", 1), ("F", 1), ("I", 1), ("CMYK", 3)],
)
def test_the_server_reads_pil_images_of_every_mode(mode, channels):
    picture = PIL.Image.fromarray(noise(5, 7)).convert("L").convert(mode)

    values = decode(picture).values

    assert values.shape == (5, 7, channels)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_the_alpha_of_a_pil_image_is_kept(mode):
    picture = PIL.Image.fromarray(noise(5, 7, 4), "RGBA").convert(mode)

    assert np.array_equal(decode(picture).valid, np.asarray(picture.getchannel("A")) > 0)


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA"])
def test_the_alpha_of_a_mode_that_png_lacks_is_kept(mode):
    alpha = noise(5, 7) // 64
    picture = PIL.Image.fromarray(noise(5, 7, 3))
    picture.putalpha(PIL.Image.fromarray(alpha))
    if mode == "PA":
        picture = picture.convert("RGB").convert("P").convert("PA")
        picture.putalpha(PIL.Image.fromarray(alpha))
    else:
        picture = picture.convert("LA").convert(mode) if mode == "La" else picture.convert(mode)
    assert picture.mode == mode

    raster = decode(picture)

    assert raster.channels == (1 if mode == "La" else 3)
    assert np.array_equal(raster.valid, alpha > 0)


def test_a_padding_channel_is_no_alpha():
    picture = PIL.Image.fromarray(noise(5, 7, 3)).convert("RGBX")

    raster = decode(picture)

    assert raster.valid is None
    assert np.array_equal(raster.values, np.asarray(picture)[:, :, :3])


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_16_bits_in_any_byte_order_are_intensities(mode):
    values = noise(5, 7, dtype=np.uint16)
    stored = values.astype(">u2" if mode == "I;16B" else "<u2")
    picture = PIL.Image.frombytes(mode, (7, 5), stored.tobytes())

    raster = decode(picture)

    assert raster.full_scale == 65535
    assert np.array_equal(raster.values[:, :, 0], values)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB"])
def test_colours_in_other_spaces_are_intensities_too(mode):
    picture = PIL.Image.new("RGB", (7, 5), (200, 100, 50))

    raster = decode(picture.convert(mode))

    assert raster.full_scale == 255
    assert np.abs(raster.values.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize(
    ("mode", "transparent"), [("L", 3), ("RGB", (3, 3, 3)), ("P", 3), ("P", bytes([9, 9, 9, 0]))]
)
def test_a_transparent_colour_is_kept(mode, transparent):
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    picture = PIL.Image.fromarray(grey)
    if mode == "P":
        picture.putpalette([level for level in range(256) for _ in range(3)])
    else:
        picture = picture.convert(mode)
    picture.info["transparency"] = transparent

    assert np.array_equal(decode(picture).valid, grey != 3)


def test_a_gif_keeps_its_transparent_colour_and_its_current_frame():
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    frames = [PIL.Image.fromarray(grey + add) for add in (0, 1)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], transparency=3)

    with PIL.Image.open(buffer) as picture:
        assert np.array_equal(decode(picture).valid, grey != 3)
        picture.seek(1)
        assert decode(picture).values.shape[:2] == (5, 7)


def test_a_pil_image_is_not_turned_by_the_orientation_of_its_file():
    values, buffer = noise(4, 5), io.BytesIO()
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(values).save(buffer, "PNG", exif=exif)

    with PIL.Image.open(buffer) as picture:
        assert np.array_equal(decode(picture).values[:, :, 0], values)


def test_an_open_file_is_read_from_where_it_stands(tmp_path):
    values, path = noise(5, 7, 3), tmp_path / "image.png"
    path.write_bytes(b"head" + picture_file(values, "PNG"))

    with path.open("rb") as file:
        file.seek(4)
        assert np.array_equal(decode_prepared(file).values, values)
    assert np.array_equal(decode_prepared(io.BytesIO(path.read_bytes()[4:])).values, values)


def test_an_open_file_that_was_read_is_refused(tmp_path):
    buffer = io.BytesIO()
    PIL.Image.fromarray(noise(5, 7)).save(buffer, "PNG")

    with pytest.raises(EmptyBodyError, match="nothing is left to read"):
        prepare(Question(buffer))


def test_an_open_file_of_text_is_refused():
    with pytest.raises(TypeError, match="open for reading bytes; reading it gives a str"):
        prepare(Question(io.StringIO("no bytes")))


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda data: memoryview(data)[::1]])
def test_bytes_come_in_every_container(wrap):
    values = noise(5, 7, 3)

    assert np.array_equal(decode_prepared(wrap(picture_file(values, "PNG"))).values, values)


def test_a_view_of_numbers_is_not_taken_for_a_file():
    with pytest.raises(TypeError, match=r"2 axes of 'f': numpy\.asarray makes an array of it"):
        prepare(Question(memoryview(noise(4, 5, dtype=np.float32))))


class Frame:
    """Stands for the tables of other libraries."""

    def __array__(self, dtype=None, copy=None):
        return np.zeros((2, 2), dtype)


@pytest.mark.parametrize(
    ("source", "message"),
    [(Frame(), "it is a Frame: numpy.asarray makes an array of it"), ([[1]], "it is a list$")],
)
def test_other_objects_are_refused_with_a_hint(source, message):
    with pytest.raises(TypeError, match=message):
        prepare(Question(noise(1, 1), source))


def test_the_numbers_of_an_array_are_sent_as_they_are():
    values = noise(4, 5, 6, dtype=np.float32)

    assert np.array_equal(decode(values).values, values)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_picture_is_read_to_be_looked_at(kind):
    values, buffer = noise(4, 5, 3), io.BytesIO()
    PIL.Image.fromarray(values).save(buffer, kind)

    assert np.array_equal(read_picture(buffer.getvalue()), values)


def test_a_picture_beyond_pillow_is_read_by_the_servers_readers():
    values = noise(4, 5, 6, dtype=np.uint16)

    assert np.array_equal(read_picture(tiff_file(values, planarconfig="contig")), values)


def test_a_picture_is_turned_upright():
    values, buffer = noise(4, 5), io.BytesIO()
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(values).save(buffer, "PNG", exif=exif)

    assert np.array_equal(read_picture(buffer.getvalue()), np.rot90(values, -1))


@pytest.mark.parametrize("values", [noise(5, 7, 3, dtype=np.uint16), noise(5, 7, dtype=np.float32)])
def test_a_picture_to_draw_on_has_the_values_that_the_server_sees(values):
    data = tiff_file(values, photometric="rgb" if values.ndim == 3 else "minisblack")

    np.testing.assert_array_equal(read_picture(data), values)


def test_a_file_of_two_images_is_no_picture():
    buffer = io.BytesIO()
    first, second = (PIL.Image.fromarray(noise(5, 7, seed=seed)) for seed in (1, 2))
    first.save(buffer, "TIFF", save_all=True, append_images=[second])

    with pytest.raises(InvalidImageError, match="holds 2"):
        read_picture(buffer.getvalue())


def test_pillow_reads_pictures_where_the_decoders_are_not_installed():
    values = noise(5, 7, 3)

    np.testing.assert_array_equal(decode_for_display(picture_file(values, "PNG")), values)
    with pytest.raises(InvalidImageError, match="cannot be decoded"):
        decode_for_display(b"no picture")


def test_an_overlay_is_drawn_where_the_decoders_are_not_installed(tmp_path):
    values = noise(5, 7, 3)
    (tmp_path / "image.png").write_bytes(picture_file(values, "PNG"))
    program = (
        "import sys; sys.modules['imagecodecs'] = sys.modules['tifffile'] = None\n"
        "from lacuna.client.sources import read_picture\n"
        "print(read_picture('image.png').tolist())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True
    )

    assert json.loads(done.stdout) == values.tolist()
