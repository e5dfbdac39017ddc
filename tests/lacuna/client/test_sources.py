import io
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from lacuna.client.sources import read_picture, read_source
from lacuna.errors import InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.pillow import decode_for_display
from tests.support.images import noise, picture_file, tiff_file


def decode(source):
    return decode_image(read_source(source), ImageLimits())


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
