"""Large files are refused by their headers, before they are read."""

import tracemalloc

import numpy as np
import pytest
import tifffile

from lacuna.client import Client
from lacuna.errors import BodyTooLargeError, ImageTooLargeError, InvalidImageError
from lacuna.raster.files import LARGE_BYTES, is_large, map_file
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import UNLIMITED
from tests.lacuna.client.scripts import FINE, Script
from tests.support.images import noise, npy_file, picture_file, tiff_file


@pytest.fixture
def refuse(address):
    def segment(path, protocol):
        with Client(f"http://{address}", protocol=protocol) as client:
            tracemalloc.start()
            try:
                client.segment(path)
            finally:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < LARGE_BYTES

    return segment


def write_sparse(path, side):
    """A TIFF of zeros that takes no room on the disk."""
    tifffile.memmap(path, shape=(side, side), dtype=np.uint8, metadata=None)
    return path


@pytest.mark.parametrize("protocol", ["native", "oip", "tfserving"])
def test_a_file_larger_than_a_body_is_not_read(refuse, tmp_path, protocol):
    path = write_sparse(tmp_path / "scene.tif", 29_000)

    with pytest.raises(BodyTooLargeError, match="at most 234881024 bytes; the file has 84100"):
        refuse(path, protocol)


def test_an_image_larger_than_the_servers_limit_is_not_read(refuse, tmp_path):
    path = write_sparse(tmp_path / "scene.tif", 14_000)

    with pytest.raises(ImageTooLargeError, match="at most 16777216 pixels; it is 14000×14000"):
        refuse(str(path), "native")


def test_a_large_file_that_is_damaged_is_not_read(refuse, tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(b"II*\0\xff\xff\xff\x01")
    with path.open("r+b") as file:
        file.truncate(LARGE_BYTES)

    with pytest.raises(InvalidImageError):
        refuse(path, "native")


def test_a_small_file_is_sent_without_further_questions(tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(tiff_file(noise(2, 1)))
    script = Script(FINE)

    with Client("http://server", transport=script) as client:
        client.segment(path)

    assert [request.url.path for request in script.requests] == ["/v1/segment"]
    assert not is_large(path)


@pytest.mark.parametrize(
    "data",
    [
        tiff_file(noise(21, 34, 3), photometric="rgb"),
        npy_file(noise(21, 34, 3)),
        *(picture_file(noise(21, 34, 3), kind) for kind in ("PNG", "JPEG", "WEBP", "JPEG2000")),
        picture_file(noise(21, 34, 3), "PNG", transparency=(1, 2, 3)),
    ],
)
def test_a_header_is_read_from_a_mapped_file_as_from_bytes(tmp_path, data):
    path = tmp_path / "scene"
    path.write_bytes(data)

    assert ImageFile(map_file(path)).read_header(UNLIMITED) == ImageFile(data).read_header(
        UNLIMITED
    )
