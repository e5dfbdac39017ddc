"""Choice of the page that is the image, and checks before it is decoded.

A TIFF header can claim almost anything in a few bytes, so the directories are weighed before
tifffile loads them, and each page is held to the limits before its samples are read.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tifffile import TiffPage

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.formats import Header
from lacuna.raster.ifd import Directory, read_directories
from lacuna.raster.jpeg import MAX_SCANS, count_scans, read_frame
from lacuna.raster.limits import MOST_CHANNELS, SAMPLES_PER_PIXEL, ImageLimits, check_size
from lacuna.raster.npy import Buffer
from lacuna.raster.tiff_channels import ChannelPages, find_channel_pages
from lacuna.raster.tiff_lerc import LERC
from lacuna.raster.tiff_memory import (
    PageSize,
    estimate_image_bytes,
    estimate_mask_bytes,
    measure_page,
)
from lacuna.raster.webp import read_webp_header

MAX_DIRECTORIES = MOST_CHANNELS + 64
"""Pages in a file: an image, its mask and their overviews are about 30 at most, but each channel
may have a page of its own."""

MAX_SEGMENTS = 1 << 18
"""Strips or tiles in an image: each costs tens of microseconds, however small it is. The largest
image in tiles of 64 × 64, or by rows in 32 planes, stays within."""

_LOADED_SLACK_BYTES = 1 << 16

JPEG, WEBP = 7, 50001

COMPRESSIONS = {
    1: "none",
    2: "CCITT RLE",
    3: "CCITT G3",
    4: "CCITT G4",
    5: "LZW",
    JPEG: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    LERC: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    WEBP: "WebP",
}
"""Those whose decoders can be told how much they may write; JPEG's, WebP's and LERC's are held to
their own headers."""

PREDICTORS = frozenset({1, 2, 3})
_OFFSETS = (273, 279, 324, 325)
_SUBFILE, _OLD_SUBFILE = 254, 255
_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL = 256, 257, 258, 277
_REDUCED, _MASK = 1, 4
_KINDS = frozenset({_SUBFILE, _OLD_SUBFILE})
_NEEDED = _KINDS | {
    *(_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL),
    *(259, 262, 266, 284, 338, 339),  # compression, colours, order of bits and samples, formats
    *(273, 278, 279, 322, 323, 324, 325, 32997, 32998),  # strips and tiles
    *(292, 293, 317, 320, 347, 529, 530, 532),  # options of compressions and colours
    274,  # orientation
    *(33628, 33629),  # stacks of MetaMorph
}
"""Tags without which an image would be another one, or none. Readers do without all others."""
_TRUNCATED = '"truncated": true'
"""Mark of tifffile on the only page of several."""


def read_tiff_header(data: Buffer) -> Header:
    """Read the size of the full-resolution image from its directory.

    Args:
        data: the file.

    Raises:
        InvalidImageError: as for `choose_pages`.
        ValueError: if the directories are damaged.
        KeyError: if the image's has no size.
        struct.error: if the directories are damaged.
    """
    directories = _read_all(data)
    channels, masks = _choose(directories, data)
    main = channels.order[0]
    image = measure_page(directories[main])
    if len(channels.order) > 1:
        return _measure_channels(directories, channels, image)
    others = [measure_page(directories[index]) for index in masks if _has_size(directories[index])]
    decoded = [page for page in others if (page.height, page.width) == (image.height, image.width)]
    return Header(
        image.height,
        image.width,
        image.samples,
        image.sample_bytes,
        extra_bytes=estimate_image_bytes(directories[main], image)
        + estimate_mask_bytes(image, decoded),
        segments=max(page.segments for page in (image, *decoded)),
        segment_pixels=max(page.segment_pixels for page in (image, *decoded)),
    )


def _measure_channels(
    directories: list[Directory], channels: ChannelPages, image: PageSize
) -> Header:
    pages = [measure_page(directories[index]) for index in channels.order]
    samples = sum(page.samples for page in pages)
    # All pages are decoded, and brought together.
    together = image._replace(samples=samples)
    return Header(
        image.height,
        image.width,
        samples,
        image.sample_bytes,
        extra_bytes=estimate_image_bytes(directories[channels.order[0]], together)
        + image.height * image.width * together.stored_bytes,
        segments=sum(page.segments for page in pages),
        segment_pixels=max(page.segment_pixels for page in pages),
    )


def _has_size(directory: Directory) -> bool:
    return {_WIDTH, _HEIGHT} <= directory.numbers.keys()


class Pages(NamedTuple):
    """Pages of a file that are read.

    Attributes:
        images: index of the image of full resolution; of each channel's, if they have pages.
        names: of the channels, if they have pages and names.
        masks: indices of its transparency masks.
        damaged: codes of the image's tags that cannot be read, and need not be.
    """

    images: tuple[int, ...]
    names: tuple[str, ...]
    masks: list[int]
    damaged: frozenset[int]


def choose_pages(data: bytes) -> Pages:
    """Find the full-resolution image and its transparency masks.

    Args:
        data: the file.

    Raises:
        InvalidImageError: if there are several images, or directories too large to be honest.
        ValueError: if the directories are damaged.
        struct.error: likewise.
    """
    directories = _read_all(data)
    channels, masks = _choose(directories, data)
    for index in (*channels.order, *masks):
        if directories[index].damaged & _NEEDED:
            raise ValueError(
                "a tag that counts is repeated, of an unknown type, or beyond the file"
            )
    damaged = directories[channels.order[0]].damaged
    return Pages(channels.order, channels.names, masks, damaged)


def _read_all(data: Buffer) -> list[Directory]:
    directories = []
    loaded = 0
    for directory in read_directories(data):
        _check_directory(directory)
        loaded += directory.value_bytes
        directories.append(directory)
        if len(directories) > MAX_DIRECTORIES:
            raise InvalidImageError(f"TIFF must have at most {MAX_DIRECTORIES} pages; it has more")
    if loaded > len(data) + _LOADED_SLACK_BYTES:
        raise ValueError("the values of all tags together are larger than the file")
    return directories


def _choose(directories: list[Directory], data: Buffer) -> tuple[ChannelPages, list[int]]:
    kinds = [_subfile_kind(directory) for directory in directories]
    images = [i for i, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)]
    channels = ChannelPages((0,))
    if len(images) != 1:
        channels = _find_channels(directories, images, data)
    masks = [i for i, kind in enumerate(kinds) if kind & (_REDUCED | _MASK) == _MASK]
    return channels._replace(order=tuple(images[index] for index in channels.order)), masks


def _find_channels(directories: list[Directory], images: list[int], data: Buffer) -> ChannelPages:
    channels = None
    if images:
        start, size = directories[images[0]].description
        description = bytes(data[start : start + size]).decode("utf-8", "replace")
        channels = find_channel_pages(description, len(images))
    if channels is None:
        raise InvalidImageError(f"TIFF must hold one image; it holds {len(images)}")
    return channels


def _check_directory(directory: Directory) -> None:
    if directory.damaged & _KINDS:
        raise ValueError("a tag that tells images from masks is repeated, or of an unknown type")
    if max(directory.counts.get(code, 0) for code in _OFFSETS) > MAX_SEGMENTS:
        raise ImageTooLargeError(f"TIFF must have at most {MAX_SEGMENTS} strips or tiles")


def _subfile_kind(directory: Directory) -> int:
    if _SUBFILE in directory.numbers:
        return directory.numbers[_SUBFILE]
    return _REDUCED if directory.numbers.get(_OLD_SUBFILE) == 2 else 0


def refuse_stack(page: TiffPage) -> None:
    """Refuse a page that stands for several images, as microscopes write them.

    Args:
        page: its header.

    Raises:
        InvalidImageError: if it is a volume, a MetaMorph stack, or the first of a series.
    """
    if page.is_stk or page.shaped[1] != 1 or _TRUNCATED in page.description:
        raise InvalidImageError("TIFF must hold one image; it holds a stack")


def check_page(page: TiffPage, data: bytes, limits: ImageLimits) -> None:
    """Hold a page's header to the limits, to what is read, and to the bytes that are there.

    Args:
        page: its header.
        data: the whole file.
        limits: the largest image that is decoded.

    Raises:
        InvalidImageError: if it is of a kind that is not read.
        ImageTooLargeError: if it exceeds the limits.
        ValueError: if it is damaged.
    """
    check_size(limits, page.imagelength, page.imagewidth, page.samplesperpixel)
    _check_kind(page)
    if page.is_tiled:
        tile_samples = page.tilelength * page.tilewidth * page.tiledepth * page.samplesperpixel
        if tile_samples > SAMPLES_PER_PIXEL * limits.image_pixels:
            raise ImageTooLargeError("TIFF tiles must be no larger than the image may be")
    _check_segments(page, data)


def _check_kind(page: TiffPage) -> None:
    if page.compression not in COMPRESSIONS or page.predictor not in PREDICTORS:
        names = ", ".join(dict.fromkeys(COMPRESSIONS.values()))
        raise InvalidImageError(
            f"TIFF compression must be {names}, with predictor 1, 2 or 3; "
            f"it is {int(page.compression)} with predictor {int(page.predictor)}"
        )
    if (
        page.dtype is None
        or page.dtype.kind not in "buif"
        or not isinstance(page.bitspersample, int)
    ):
        raise InvalidImageError(
            "TIFF samples must be integers or floating-point numbers of one depth; they are of "
            f"sample format {page.sampleformat} with {page.bitspersample} bits"
        )


def _check_segments(page: TiffPage, data: bytes) -> None:
    expected = math.prod(page.chunked)
    if not expected == len(page.dataoffsets) == len(page.databytecounts):
        raise ValueError("the strips or tiles listed are not as many as the image has")
    stored = 0
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if start + length > len(data):
            raise ValueError("a strip or tile lies beyond the file")
        if page.compression == JPEG and length:
            _check_jpeg_segment(page, data, start, start + length)
        if page.compression == WEBP and length:
            _check_webp_segment(page, data[start : start + length])
        stored += length
    # One contiguous block is read into an array of its full size at once, so it must be there.
    if page.is_contiguous and stored * 8 < math.prod(page.shaped) * page.bitspersample:
        raise ValueError("the strips or tiles hold less than the image")


def _measure_segment(page: TiffPage) -> tuple[int, int]:
    """Return the height and width of a strip or tile."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _check_webp_segment(page: TiffPage, segment: bytes) -> None:
    header = read_webp_header(segment)
    height, width = _measure_segment(page)
    if header.height > height or header.width > width:
        raise ValueError("a WebP strip or tile is larger than it should be")


def _check_jpeg_segment(page: TiffPage, data: bytes, start: int, end: int) -> None:
    frame = read_frame(data, start)
    height, width = _measure_segment(page)
    if frame.height > height or frame.width > width or frame.components > page.samplesperpixel:
        raise ValueError("a JPEG strip or tile is larger than it should be")
    if count_scans(data, start, end) > MAX_SCANS:
        raise ValueError("a JPEG strip or tile has more scans than any encoder makes")
