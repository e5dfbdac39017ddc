"""Decoders under every limit of memory, from none to enough: the image, or `MemoryError`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lacuna.errors import InvalidImageError
from lacuna.raster.damage import decoder_errors, memory_errors
from tests.support.images import noise, npy_file, picture_file, saved, tiff_file

# For each file the libraries are loaded by a small one; then children try the large one.
SWEEP = """
import gc, json, os, resource, sys
from collections import Counter
from pathlib import Path
import numpy as np
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import labels_npz

def work(name, data):
    if name == "npz":
        side = int(len(data) ** 0.5)
        labels_npz(np.zeros((side, side), np.uint8), np.zeros((side, side, 1), np.float32))
    else:
        decode_image(data, ImageLimits())

def try_with(spare_bytes, name, data):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + spare_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            try:
                work(name, data)
                outcome = "whole"
            except BaseException as error:
                is_memory = isinstance(error, MemoryError)
                outcome = "MemoryError" if is_memory else type(error).__name__
            os.write(writing, outcome.encode())
        finally:
            os._exit(0)
    os.close(writing)
    outcome = os.read(reading, 100).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return outcome or "died"

found = {}
for small in sorted(Path(sys.argv[1]).glob("*.small")):
    work(small.stem, small.read_bytes())
    data = small.with_suffix(".large").read_bytes()
    gc.collect()
    found[small.stem] = Counter(try_with(step << 19, small.stem, data) for step in range(20))
print(json.dumps(found))
"""

SIDE = 640


def encode(values):
    rows = {"rowsperstrip": len(values), "photometric": "rgb"}
    return {
        "png": picture_file(values, "PNG"),
        "palette": saved(Image.fromarray(values).convert("P"), "PNG"),
        "jpeg": picture_file(values, "JPEG"),
        "jpeg-progressive": picture_file(values, "JPEG", progressive=True),
        "webp": picture_file(values, "WEBP"),
        "webp-lossless": picture_file(values, "WEBP", lossless=True, method=0),
        "jp2": picture_file(values, "JPEG2000"),
        "tiff-deflate": tiff_file(values, compression="deflate", **rows),
        "tiff-lzw": tiff_file(values, compression="lzw", **rows),
        "tiff-jpeg": tiff_file(values, compression="jpeg", photometric="rgb", tile=(256, 256)),
        "npy": npy_file(values.astype(np.int32)),
        "npz": bytes(values.shape[0] * values.shape[1]),
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    blocks = np.kron(noise(SIDE // 8, SIDE // 8, 3), np.ones((8, 8, 1), np.uint8))
    for suffix, values in ((".small", blocks[:64, :64].copy()), (".large", blocks)):
        for name, data in encode(values).items():
            (folder / name).with_suffix(suffix).write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", SWEEP, folder], check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("name", encode(noise(64, 64, 3)))
def test_a_lack_of_memory_is_never_taken_for_damage(outcomes, name):
    assert set(outcomes[name]) == {"MemoryError", "whole"}


class LibraryError(RuntimeError):
    """Error that imagecodecs raises."""


@pytest.mark.parametrize(
    "text",
    [
        "Insufficient memory (case 4)",
        "Allocation error : not enough memory",
        "WebPDecode returned VP8_STATUS_OUT_OF_MEMORY",
        "Z_MEM_ERROR",
        "out of memory error when reading image file",
    ],
)
def test_what_libraries_say_of_memory_is_understood(text):
    with pytest.raises(MemoryError), decoder_errors("PNG"):
        raise LibraryError(text)


@pytest.mark.parametrize("manager", [memory_errors, lambda: decoder_errors("PNG")])
def test_a_lack_of_memory_that_another_error_hides_is_found(manager):
    def close_badly():
        try:
            raise MemoryError
        finally:
            raise ValueError("I/O operation on closed file")

    with pytest.raises(MemoryError), manager():
        close_badly()


def test_damage_is_still_damage():
    with pytest.raises(InvalidImageError), decoder_errors("PNG"):
        raise LibraryError("opj_decode failed")
    with pytest.raises(LibraryError), memory_errors():
        raise LibraryError("opj_decode failed")
