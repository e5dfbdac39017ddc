"""Libraries of decoders are loaded before the first image, or not at all."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest

from lacuna.raster.damage import decoder_errors
from tests.lacuna.raster.test_robustness import FILES
from tests.support.images import noise, tiff_file

TIFFS = {
    "zstd": tiff_file(noise(32, 32), compression="zstd"),
    "predictor of floats": tiff_file(noise(32, 32, dtype=np.float32), predictor=3, compression=8),
    "predictor": tiff_file(noise(32, 32, dtype=np.uint16), predictor=2, compression="lzw"),
    "12 bits": tiff_file(noise(32, 32, dtype=np.uint16) // 16, bitspersample=12),
}
PROGRAM = """
import base64, json, sys
from lacuna.raster.formats import load_decoders
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
load_decoders()
before = set(sys.modules)
for data in json.load(sys.stdin):
    decode_image(base64.b64decode(data), ImageLimits())
native = ("imagecodecs", "tifffile", "PIL", "lacuna")
print(*sorted(name for name in set(sys.modules) - before if name.startswith(native)))
"""


def test_no_image_loads_a_library():
    """Where there is no memory for its library, imagecodecs puts a stub in its place for good."""
    files = json.dumps(
        [base64.b64encode(data).decode() for data in [*FILES.values(), *TIFFS.values()]]
    )
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=files, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "\n"


def test_a_library_that_cannot_be_loaded_is_no_fault_of_the_file():
    with pytest.raises(ImportError), decoder_errors("PNG"):
        raise ImportError("could not import name 'png_decode' from 'imagecodecs'")
