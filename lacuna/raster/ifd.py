"""Directories of a TIFF structure, and the bytes that they make a reader load.

TIFF files and EXIF blobs share it. A directory is a list of tags; a tag names a type, a count and
where its values stand. A few hundred bytes can claim that thousands of tags each hold the whole
file, so this is looked at before a library that loads them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TAGS = 1024
"""Tags in one directory; the specifications together define about 600."""

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES_OF_TYPE = _BYTES | {16: 8, 17: 8, 18: 8}
_HEADER_BYTES = 8
_DESCRIPTION = 270
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Directory:
    """One image file directory.

    Attributes:
        numbers: the first value of each tag that holds unsigned integers, by tag code.
        counts: how many values each tag holds, by tag code.
        value_bytes: bytes of all values together.
        damaged: codes of tags of an unknown type, with values beyond the data, or that come twice.
            Of these, the first that is sound counts in the other attributes.
        description: where the text of ImageDescription begins, and how long it is.
    """

    numbers: dict[int, int]
    counts: dict[int, int]
    value_bytes: int
    damaged: frozenset[int]
    description: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class _Layout:
    """Byte order and field widths: classic TIFF, or BigTIFF."""

    order: str
    offset: str
    entries: str

    @property
    def tag_bytes(self) -> int:
        return struct.calcsize(self.order + "HH" + 2 * self.offset)


def read_directories(data: bytes | memoryview) -> Iterator[Directory]:
    """Walk the chain of directories.

    Args:
        data: a TIFF file, classic or BigTIFF, in either byte order.

    Raises:
        ValueError: if the chain leaves the data or comes back to where it was.
        struct.error: likewise.
    """
    layout, offset = _read_header(data)
    seen: set[int] = set()
    while offset:
        if offset in seen or offset >= len(data):
            raise ValueError(f"directory offset {offset} is out of the data or a repetition")
        seen.add(offset)
        (tags,) = struct.unpack_from(layout.order + layout.entries, data, offset)
        if tags > MAX_TAGS:
            raise ValueError(f"a directory must have at most {MAX_TAGS} tags; it has {tags}")
        start = offset + struct.calcsize(layout.order + layout.entries)
        yield _read_directory(data, layout, start, tags)
        (offset,) = struct.unpack_from(
            layout.order + layout.offset, data, start + tags * layout.tag_bytes
        )


def _read_header(data: bytes | memoryview) -> tuple[_Layout, int]:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == 43:
        return _Layout(order, "Q", "Q"), struct.unpack_from(order + "Q", data, 8)[0]
    return _Layout(order, "I", "H"), struct.unpack_from(order + "I", data, 4)[0]


def _read_directory(data: bytes | memoryview, layout: _Layout, start: int, tags: int) -> Directory:
    numbers: dict[int, int] = {}
    counts: dict[int, int] = {}
    value_bytes = 0
    damaged: set[int] = set()
    description = 0, 0
    inline = struct.calcsize(layout.order + layout.offset)
    for position in range(start, start + tags * layout.tag_bytes, layout.tag_bytes):
        code, kind, count = struct.unpack_from(layout.order + "HH" + layout.offset, data, position)
        size = count * _BYTES_OF_TYPE.get(kind, 0)
        is_damaged = kind not in _BYTES_OF_TYPE or code in counts
        at = position + layout.tag_bytes - inline
        if size > inline:
            (at,) = struct.unpack_from(layout.order + layout.offset, data, at)
            is_damaged |= at < _HEADER_BYTES or at + size > len(data)
        if is_damaged:
            damaged.add(code)
            continue
        counts[code] = count
        value_bytes += size
        if code == _DESCRIPTION:
            description = at, size
        if kind in _INTEGERS and count:
            (numbers[code],) = struct.unpack_from(layout.order + _INTEGERS[kind], data, at)
    return Directory(numbers, counts, value_bytes, frozenset(damaged), description)
