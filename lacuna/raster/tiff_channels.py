"""Channels in pages of their own, as OME-TIFF and ImageJ write them.

Both describe all pages in the description of the first one. Pages along Z (depth) or T (time) are
a stack: several images.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from lacuna.errors import InvalidImageError

# By pattern and not as XML: a parser would expand what a hostile file defines.
_IMAGEJ = re.compile(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", re.MULTILINE)
_OME = re.compile(r"<(?:\w+:)?(OME|Image|Pixels|Channel|TiffData|UUID)\b([^<>]*)>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class ChannelPages(NamedTuple):
    """Pages that are channels of one image.

    Attributes:
        order: index of the page of each channel.
        names: of the channels, empty where one has none; no entry at all if none has.
    """

    order: tuple[int, ...]
    names: tuple[str, ...] = ()


def find_channel_pages(description: str, pages: int) -> ChannelPages | None:
    """Find the page of each channel by the description of the first page.

    Args:
        description: text of the tag ImageDescription.
        pages: number of pages that are images of full resolution.

    Returns:
        None if the description is not one of OME or ImageJ.

    Raises:
        InvalidImageError: if the pages are a stack, several images, or not all of one image.
    """
    if description.startswith("ImageJ="):
        return _read_imagej(description, pages)
    if pages > 1 and "<OME" in description[:1000]:
        return _read_ome(description, pages)
    return None


def _read_imagej(description: str, pages: int) -> ChannelPages:
    sizes = {name: int(size) for name, size in _IMAGEJ.findall(description)}
    _refuse_stack(sizes.get("slices", 1), sizes.get("frames", 1))
    images, channels = sizes.get("images", 1), sizes.get("channels", 1)
    if images > 1 and images != channels:
        raise InvalidImageError(f"TIFF must hold one image; it holds a stack of {images} images")
    if max(images, pages) > 1:
        _check_count(pages, channels)
    return ChannelPages(tuple(range(pages)))


def _read_ome(description: str, pages: int) -> ChannelPages:
    elements = [
        (kind, {name: html.unescape(a or b) for name, a, b in _ATTRIBUTE.findall(attributes)})
        for kind, attributes in _OME.findall(description)
    ]
    kinds = [kind for kind, _ in elements]
    if kinds.count("Image") != 1 or kinds.count("Pixels") != 1:
        raise InvalidImageError(f"TIFF must hold one image; it holds {kinds.count('Image')}")
    if any(kind == "UUID" and "FileName" in attributes for kind, attributes in elements):
        raise InvalidImageError("TIFF must hold all of its image; parts of it are in other files")
    sizes = next(attributes for kind, attributes in elements if kind == "Pixels")
    _refuse_stack(_read_whole(sizes, "SizeZ", 1), _read_whole(sizes, "SizeT", 1))
    _check_count(pages, _read_whole(sizes, "SizeC", 1))
    planes = [attributes for kind, attributes in elements if kind == "TiffData"]
    order = _read_order(planes, pages)
    names = tuple(attributes.get("Name", "") for kind, attributes in elements if kind == "Channel")
    return ChannelPages(order, names if len(names) == pages and any(names) else ())


def _read_order(planes: list[dict[str, str]], pages: int) -> tuple[int, ...]:
    """Return the page of each channel: in order, unless elements for single planes say otherwise.

    An element without PlaneCount stands for one plane if it names its page, else for all.
    """
    if not any("IFD" in plane for plane in planes):
        return tuple(range(pages))
    found: dict[int, int] = {}
    for plane in planes:
        channel, page = _read_whole(plane, "FirstC", 0), _read_whole(plane, "IFD", 0)
        for offset in range(min(_read_whole(plane, "PlaneCount", 1), pages)):
            found[channel + offset] = page + offset
    order = tuple(found.get(channel, -1) for channel in range(pages))
    if sorted(order) != list(range(pages)):
        raise InvalidImageError("TIFF must have one page for each channel; OME-XML says otherwise")
    return order


def _read_whole(attributes: dict[str, str], name: str, default: int) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else default


def _refuse_stack(depth: int, times: int) -> None:
    for size, axis in ((depth, "Z"), (times, "T")):
        if size > 1:
            raise InvalidImageError(
                f"TIFF must hold one image; it holds a stack of {size} along {axis}"
            )


def _check_count(pages: int, channels: int) -> None:
    if pages != channels:
        raise InvalidImageError(
            f"TIFF must have one page for each of its {channels} channels; it has {pages} pages"
        )
