"""Memory that decoding a TIFF takes, by the directories of its image and of its masks.

Factors are bytes measured with images of 2048 × 2048.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lacuna.raster.ifd import Directory

_WIDTH, _HEIGHT, _BITS, _SAMPLES, _SAMPLE_FORMAT = 256, 257, 258, 277, 339
_COMPRESSION, _COLOURS, _EXTRA_SAMPLES, _PLANES, _ORIENTATION = 259, 262, 338, 284, 274
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_DEPTH = 278, 322, 323, 32998
_OFFSETS = (273, 279, 324, 325)
_MINISWHITE, _PALETTE, _CMYK, _YCBCR = 0, 3, 5, 6
_JPEG, _LERC, _LZMA, _WEBP = 7, 34887, 34925, 50001
_UNSIGNED, _FLOAT = 1, 3
_KEPT = frozenset({(_UNSIGNED, 1), (_UNSIGNED, 2), (_FLOAT, 4)})
_SEPARATE = 2
_SEGMENT_FACTOR = 2
"""Decoded strips or tiles held at a time: one as decoded, and one on the way into the image."""

_SEGMENT_FACTORS = {_JPEG: 5, _LERC: 4, _LZMA: 3, _WEBP: 4}
"""The same where the decoder itself holds more."""


class PageSize(NamedTuple):
    """Size of a page and of its parts.

    Attributes:
        height: rows.
        width: columns.
        samples: samples per pixel.
        sample_bytes: bytes of a decoded sample.
        segments: strips or tiles listed.
        segment_pixels: pixels of a strip or tile.
        segment_bytes: memory that a strip or tile takes while it is decoded.
    """

    height: int
    width: int
    samples: int
    sample_bytes: int
    segments: int
    segment_pixels: int
    segment_bytes: int

    @property
    def stored_bytes(self) -> int:
        """Bytes of the samples of a pixel."""
        return self.samples * self.sample_bytes


def measure_page(directory: Directory) -> PageSize:
    """Measure a page.

    Args:
        directory: of the page.

    Raises:
        KeyError: if it has no size.
    """
    numbers = directory.numbers
    height, width = numbers[_HEIGHT], numbers[_WIDTH]
    samples = numbers.get(_SAMPLES, 1)
    sample_bytes = 1 << max(0, math.ceil(math.log2(max(numbers.get(_BITS, 1), 1) / 8)))
    if _TILE_WIDTH in numbers:
        pixels = numbers[_TILE_WIDTH] * numbers.get(_TILE_HEIGHT, 1) * numbers.get(_TILE_DEPTH, 1)
    else:
        pixels = width * min(numbers.get(_ROWS_PER_STRIP, height), height)
    per_pixel = sample_bytes * (1 if numbers.get(_PLANES) == _SEPARATE else samples)
    factor = _SEGMENT_FACTORS.get(numbers.get(_COMPRESSION, 1), _SEGMENT_FACTOR)
    segments = max(directory.counts.get(code, 0) for code in _OFFSETS)
    return PageSize(
        height, width, samples, sample_bytes, segments, pixels, factor * pixels * per_pixel
    )


def estimate_image_bytes(directory: Directory, page: PageSize) -> int:
    """Estimate the memory that an image takes beside the samples as they are stored.

    Args:
        directory: of its page.
        page: its size.
    """
    held = _count_pixel_bytes(directory, page)
    turned = page.stored_bytes + held if directory.numbers.get(_ORIENTATION, 1) > 1 else 0
    # Segments are gone by the time that colours are converted.
    return max(page.height * page.width * (held + turned), page.segment_bytes)


def _count_pixel_bytes(directory: Directory, page: PageSize) -> int:
    """Count the bytes for each pixel that conversions and the masks found in it take."""
    numbers = directory.numbers
    kind, colours = numbers.get(_SAMPLE_FORMAT, _UNSIGNED), numbers.get(_COLOURS)
    # Samples of alpha are parted from the colours, and planes are brought together.
    is_copied = _EXTRA_SAMPLES in numbers or numbers.get(_PLANES) == _SEPARATE
    taken = 2 + (page.stored_bytes if is_copied else 0)
    if (kind, page.sample_bytes) not in _KEPT:
        return taken + 4 * page.samples
    if colours == _PALETTE:
        return taken + 3
    if colours == _CMYK:
        return taken + 8 * page.samples + page.stored_bytes
    if colours == _YCBCR and numbers.get(_COMPRESSION) != _JPEG:
        return taken + 5 * page.samples
    is_changed = colours == _MINISWHITE or numbers.get(_BITS, 1) < 8
    return taken + (2 * page.stored_bytes if is_changed else 0)


def estimate_mask_bytes(image: PageSize, masks: list[PageSize]) -> int:
    """Estimate the memory that the masks of an image take; one of another size is not decoded.

    Args:
        image: size of its page.
        masks: sizes of the pages of masks.
    """
    # The page is decoded and compared with 0, and the answers are stacked.
    pixels = image.height * image.width
    working = [pixels * (mask.stored_bytes + mask.samples) + mask.segment_bytes for mask in masks]
    return 2 * pixels * len(masks) + max(working, default=0)
