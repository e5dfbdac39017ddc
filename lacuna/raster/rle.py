"""COCO's run-length encoding of masks.

Runs are counted down the columns, starting with False: "counts" is [False, True, False, …] run
lengths. In the compressed form each number, from the fourth on the difference to the one before
last, is written in groups of five bits, lowest first, as characters from "0" (48) up; bit 32 says
that more groups follow, and bit 16 of the last group is the sign. See cocoapi's maskApi.c.

Only NumPy and the standard library are needed here, so that the client can use it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidMaskError

MAX_PIXELS = 4096 * 4096
"""As many as an image may have by default (see `lacuna.raster.limits`)."""

_MAX_GROUPS = 10
"""Five-bit groups in one number: fifty bits, so that nothing here can overflow 64."""

_BLOCK = 1 << 16
"""Numbers that are compressed together, and characters that are decompressed together."""

_FOLLOWED = 48 + 32
"""Lowest character of a group that others follow."""

_CHARACTER_BYTES = 32
"""Most bytes for each character, or number, while run lengths become a mask."""

_PIXEL_BYTES = 4
"""Most bytes for each pixel while run lengths become a mask."""


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask in the compressed form.

    Args:
        mask: bool (H, W).

    Returns:
        `{"size": [H, W], "counts": str}`, as pycocotools gives it but for its bytes.
    """
    height, width = mask.shape
    flat = np.ravel(mask, order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = [0, 0] if flat.size and flat[0] else [0]
    counts = np.diff(np.concatenate([starts, edges, [flat.size]]))
    return {"size": [height, width], "counts": _compress(counts)}


def estimate_bytes(encoded: Mapping[str, Any], max_pixels: int = MAX_PIXELS) -> int:
    """Estimate the memory that decoding a mask takes, in bytes.

    Raises:
        InvalidMaskError: if its size is wrong or beyond `max_pixels`.
    """
    height, width = _read_size(encoded.get("size"), max_pixels)
    counts = encoded.get("counts")
    length = len(counts) if isinstance(counts, str | bytes | list) else 0
    return _PIXEL_BYTES * height * width + _CHARACTER_BYTES * length


def decode(encoded: object, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Decode a mask.

    Args:
        encoded: `{"size": [H, W], "counts": …}` with counts as a compressed string or a list.
        max_pixels: H · W beyond this is refused, before anything of that size is allocated.

    Returns:
        bool (H, W).

    Raises:
        InvalidMaskError: if anything is wrong with it.
    """
    if not isinstance(encoded, Mapping) or not {"size", "counts"} <= encoded.keys():
        raise InvalidMaskError("run-length mask must be an object with size and counts; it is not")
    height, width = _read_size(encoded["size"], max_pixels)
    counts = _read_counts(encoded["counts"], height * width)
    if int(counts.sum()) != height * width:
        raise InvalidMaskError(
            f"run lengths must add up to height × width, {height * width}; "
            f"they add up to {counts.sum()}"
        )
    values = np.zeros(counts.size, np.bool_)
    values[1::2] = True
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)


def _read_size(size: object, max_pixels: int) -> tuple[int, int]:
    if not isinstance(size, list | tuple) or [type(side) for side in size] != [int, int]:
        raise InvalidMaskError("run-length mask's size must be two integers; it is not")
    height, width = size
    if height < 1 or width < 1:
        raise InvalidMaskError(
            f"run-length mask's size must be two positive integers; it is {height}×{width}"
        )
    if height * width > max_pixels:
        raise InvalidMaskError(
            f"run-length mask must have at most {max_pixels} pixels; it is {height}×{width}"
        )
    return height, width


def _read_counts(counts: object, pixels: int) -> NDArray[np.int64]:
    if isinstance(counts, str | bytes):
        return _decompress(_read_characters(counts, pixels), pixels)
    if not isinstance(counts, list):
        raise InvalidMaskError(
            f"run lengths must be a string or a list; they are a {type(counts).__name__}"
        )
    if set(map(type, counts)) - {int}:
        raise InvalidMaskError("run lengths must be integers; some are not")
    _check_range(min(counts, default=0), max(counts, default=0), pixels)
    return np.array(counts, np.int64)


def _check_range(shortest: int, longest: int, pixels: int) -> None:
    # Before anything is summed: with every run within the mask, no sum can overflow.
    if shortest < 0:
        raise InvalidMaskError(f"run lengths must not be negative; one is {shortest}")
    if longest > pixels:
        raise InvalidMaskError(
            f"a run must be no longer than the {pixels} pixels of the mask; one is {longest}"
        )


def _read_characters(counts: str | bytes, pixels: int) -> NDArray[np.uint8]:
    # One run for each pixel, and an empty one before the first.
    most = _MAX_GROUPS * (pixels + 1)
    if len(counts) > most:
        raise InvalidMaskError(
            f"run lengths of {pixels} pixels must have at most {most} characters; they have "
            f"{len(counts)}"
        )
    raw = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
    characters = np.frombuffer(raw, np.uint8)
    if characters.size and not 48 <= characters.min() <= characters.max() < 48 + 64:
        raise InvalidMaskError("run lengths must be written in the characters 0 to o; some are not")
    return characters


def _compress(counts: NDArray[np.int64]) -> str:
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    # In blocks, because each number takes a hundred bytes on the way.
    starts = range(0, numbers.size, _BLOCK)
    return "".join([_write_groups(numbers[start : start + _BLOCK]) for start in starts])


def _write_groups(numbers: NDArray[np.int64]) -> str:
    rest, groups, used = numbers, [], []
    more = np.ones(numbers.size, np.bool_)
    while more.any():
        used.append(more)
        group = rest & 31
        rest = rest >> 5
        more = more & (np.where(group & 16, rest != -1, rest != 0))
        groups.append(group | np.where(more, 32, 0))
    codes = np.stack(groups, axis=1)[np.stack(used, axis=1)] + 48
    return codes.astype(np.uint8).tobytes().decode("ascii")


def _decompress(characters: NDArray[np.uint8], pixels: int) -> NDArray[np.int64]:
    if characters.size and characters[-1] >= _FOLLOWED:
        raise InvalidMaskError("the last run length must be complete; it is cut short")
    # In blocks, because each character takes eighty bytes on the way.
    blocks, start = [np.zeros(0, np.int64)], 0
    while start < characters.size:
        block = characters[start : start + _BLOCK]
        last = np.flatnonzero(block < _FOLLOWED)
        end = int(last[-1]) + 1 if last.size else 0
        blocks.append(_read_groups(block[:end].astype(np.int64) - 48, last))
        start += end
    numbers = np.concatenate(blocks)
    # Differences of runs within the mask are within it too, so that the sums cannot overflow.
    _check_range(0, int(np.abs(numbers).max(initial=0)), pixels)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    _check_range(int(numbers.min(initial=0)), int(numbers.max(initial=0)), pixels)
    return numbers


def _read_groups(codes: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read whole numbers from their groups.

    Args:
        codes: groups, with the bit that says that more follow.
        last: index of the last group of each number.
    """
    first = np.concatenate([[0], last[:-1] + 1])[: last.size]
    lengths = last - first + 1
    if not lengths.size or lengths.max() > _MAX_GROUPS:
        raise InvalidMaskError("run lengths must fit in fifty bits; one is longer")
    place = np.arange(codes.size) - np.repeat(first, lengths)
    numbers = np.add.reduceat((codes & 31) << (5 * place), first)
    return numbers - np.where(codes[last] & 16, np.int64(1) << (5 * lengths), 0)
