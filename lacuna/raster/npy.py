"""NPY, NumPy's file format, read without NumPy's loader: nothing is evaluated or unpickled.

Only NumPy and the standard library are needed here, so that the client can use it as well.
"""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from lacuna.raster.damage import memory_errors

Buffer = bytes | memoryview

MAGIC = b"\x93NUMPY"

MAX_HEADER_BYTES = 10_000
"""As numpy.lib.format has it; a header of a plain array has about 120."""

_USUAL_BYTES = 128
"""Bytes before the numbers in most files: NumPy fills them up to multiples of 64."""

_USUAL = MAGIC + b"\1\0" + struct.pack("<H", _USUAL_BYTES - 10)

_NPZ_ENTRY_BYTES = 1024
"""Bytes that NPZ has at most for an array beside its numbers: headers, and its name three times."""

_DESCR = re.compile(r"""(['"])descr\1\s*:\s*(['"])([<>|=]?[a-zA-Z?]\d{0,4}(?:\[\w*\])?)\2""")
_ORDER = re.compile(r"""(['"])fortran_order\1\s*:\s*(True|False)\b""")
_SHAPE = re.compile(r"""(['"])shape\1\s*:\s*\(([\d\s,]*)\)""")
_SIDES = re.compile(r"\s*(?:\d{1,18}\s*(?:,\s*|$))*")
_REAL = re.compile("[<>|=]?(?:b1|[iu][1248]|f[248])")


@dataclass(frozen=True)
class NpyHeader:
    """Header of an NPY file.

    Attributes:
        shape: as saved.
        dtype: bool, integer or floating point, in the file's byte order.
        fortran_order: the first axis varies fastest.
        data_start: where the numbers begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    data_start: int


def read_npy_header(data: Buffer) -> NpyHeader:
    """Parse the header of an NPY file, format versions 1 to 3.

    Its dictionary is read by pattern and not as Python: `numpy.load` evaluates it, and warns
    about what Python 2 wrote.

    Args:
        data: the file, or at least its header.

    Raises:
        InvalidImageError: if it is not an NPY header, or of numbers that are not real.
    """
    head = bytes(data[:_USUAL_BYTES])
    return _read_usual(head) if head.startswith(_USUAL) else _read_header(data)


def _read_header(data: Buffer) -> NpyHeader:
    start, end = _find_header(data)
    if len(data) < end:
        raise InvalidImageError(f"NPY header must have {end - start} bytes; it is cut short")
    return _parse_header(bytes(data[start:end]), end)


_read_usual = lru_cache(maxsize=256)(_read_header)
"""Of the usual length; a client's arrays mostly have the same few headers."""


def _parse_header(header: bytes, end: int) -> NpyHeader:
    text = header.decode("latin-1")
    descr, order, shape = _DESCR.search(text), _ORDER.search(text), _SHAPE.search(text)
    if order is None or shape is None or not _SIDES.fullmatch(shape[2]):
        raise InvalidImageError(
            "NPY header must give descr, fortran_order and shape; it is damaged"
        )
    if descr is None or not _REAL.fullmatch(descr[3]):
        raise InvalidImageError(
            "NPY must hold booleans, integers or floating-point numbers of at most 64 bits; "
            f"it holds {'structured or unknown data' if descr is None else descr[3]!r}"
        )
    sides = tuple(int(side) for side in re.findall(r"\d+", shape[2]))
    return NpyHeader(sides, np.dtype(descr[3]), order[2] == "True", end)


def read_npy(data: Buffer, header: NpyHeader | None = None) -> NDArray[Any]:
    """Read the array of an NPY file, without a copy.

    Args:
        data: the file.
        header: what `read_npy_header` found, if that was looked at before.

    Returns:
        Of the shape and dtype saved, byte order included; backed by `data`.

    Raises:
        InvalidImageError: if the numbers are fewer or more than the shape says.
    """
    header = header or read_npy_header(data)
    count = math.prod(header.shape)
    expected, found = count * header.dtype.itemsize, len(data) - header.data_start
    if expected != found:
        raise InvalidImageError(
            f"NPY must hold the {expected} bytes that its shape {header.shape} takes; "
            f"it holds {found}"
        )
    flat = np.frombuffer(data, header.dtype, count, header.data_start)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def write_npy(array: NDArray[Any]) -> bytes:
    """Save an array of numbers as an NPY file.

    Args:
        array: of any shape and real dtype.
    """
    ordered = np.asarray(array, order="C")
    return b"".join((_write_header(ordered.dtype, ordered.shape), ordered.data))


@lru_cache(maxsize=256)
def _write_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def labels_npz(
    labels: NDArray[np.uint8],
    probabilities: NDArray[np.float32] | None = None,
    **planes: NDArray[np.float32] | None,
) -> bytes:
    """Save labels and planes as an NPZ file, each under its name.

    Not compressed: for 1024 × 1024 pixels of four classes, deflating saves a fifth of 18 MB and
    takes half a second of a core instead of a fiftieth, more than the model itself.

    Args:
        labels: uint8 (H, W).
        probabilities: float32 (H, W, K); None for none.
        **planes: other planes, float32 (H, W), by name; None for none.
    """
    every: dict[str, Any] = {"labels": labels, "probabilities": probabilities, **planes}
    arrays = {name: array for name, array in every.items() if array is not None}
    with memory_errors():  # which zipfile hides, by what it raises while it closes the file
        buffer = _make_buffer(sum(array.nbytes + _NPZ_ENTRY_BYTES for array in arrays.values()))
        np.savez(buffer, **arrays)
        buffer.truncate()
        return buffer.getvalue()


def _make_buffer(most_bytes: int) -> io.BytesIO:
    """Return a buffer with room for what will be written; truncate it at the end.

    One that grows with each write is copied again and again, and an allocator that keeps what is
    freed then keeps several times its size.

    Args:
        most_bytes: at least as much as will be written.
    """
    buffer = io.BytesIO()
    buffer.seek(most_bytes)
    buffer.write(b"\0")
    buffer.seek(0)
    return buffer


def _find_header(data: Buffer) -> tuple[int, int]:
    # Version 1 has a length of two bytes, 2 and 3 of four; 3 differs from 2 only in how names of
    # fields are encoded, and arrays with fields are refused.
    if data[: len(MAGIC)] != MAGIC or len(data) < 12:
        raise InvalidImageError("NPY must begin with its magic bytes and version; it does not")
    if data[6] not in (1, 2, 3):
        raise InvalidImageError(f"NPY must be of format version 1, 2 or 3; it is {data[6]}")
    start = 10 if data[6] == 1 else 12
    (length,) = struct.unpack_from("<H" if data[6] == 1 else "<I", data, 8)
    if length > MAX_HEADER_BYTES:
        raise InvalidImageError(
            f"NPY header must have at most {MAX_HEADER_BYTES} bytes; it has {length}"
        )
    return start, start + length
