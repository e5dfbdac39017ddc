# ruff: noqa: INP001 (a script)
"""Draw the files of `.ci/attack.py`, and write them to standard output as a tar archive."""

from __future__ import annotations

import io
import sys
import tarfile

import numpy as np
from PIL import Image

SIDE = 4096


def encode(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


rng = np.random.default_rng(0)
flat = np.full((SIDE, SIDE, 3), 120, np.uint8)
# Coarse noise, of which a JPEG is as large as of a satellite's picture.
coarse = Image.fromarray(rng.integers(0, 256, (SIDE // 4, SIDE // 4, 3), np.uint8))
noise = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
files = {
    "bomb.webp": encode(flat, "WEBP", lossless=True),
    "tile.jpg": encode(noise, "JPEG", quality=60),
    "small.png": encode(rng.integers(0, 256, (96, 96, 3), np.uint8), "PNG"),
}
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
    for name, content in files.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
