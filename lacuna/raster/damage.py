"""Translation of decoders' exceptions into errors of the request, and of a lack of memory.

Most decoders say `MemoryError`, or that memory is missing. Some report it as they report damage:
Pillow's for progressive JPEG, OpenJPEG, and libwebp. On Linux `errno` still tells. Elsewhere what
they would need is looked for, and where a process has a limit of memory, decoded once more: another
thread may have held it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from lacuna.errors import InvalidImageError, RequestError
from lacuna.out_of_memory import forget_failed_allocations, has_failed_allocation

if TYPE_CHECKING:
    from lacuna.raster.formats import Header

Decoded = TypeVar("Decoded")

_MEMORY = re.compile(
    r"out of memory|insufficient memory|not enough memory|OUT_OF_MEMORY|MEM_ERROR", re.IGNORECASE
)
"""Texts of libpng and libjpeg, Zstandard, Pillow, libwebp and zlib."""

_LIBRARY_ERRORS = (RuntimeError, OSError)
"""Classes by which imagecodecs and Pillow report that a library returned an error."""

_NOT_ITS_FAULT = (RequestError, ImportError, MemoryError)

_MOST_BYTES_PER_BYTE = 8
"""Bytes that a decoder takes for a byte of its image; OpenJPEG takes 5.5, the others less."""

_MORE_BYTES = 16 << 20
"""Bytes that it may take whatever the size of the image."""


class decoder_errors:  # noqa: N801 (reads like contextlib.suppress)
    """Context that turns every exception of a decoder into one error of the request.

    Decoders meet hostile bytes with errors of every class, such as `struct.error`; their texts
    name offsets and library functions and are kept as the cause only.

    Args:
        kind: what is being decoded, for the message: "PNG".

    Raises:
        MemoryError: if there was not enough memory.
        InvalidImageError: for any other exception but `RequestError` and `ImportError`.
    """

    __slots__ = ("_kind",)

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        forget_failed_allocations()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Neither a lack of memory nor a library that cannot be loaded is the file's fault.
        if not isinstance(error, Exception) or isinstance(error, _NOT_ITS_FAULT):
            return
        if has_failed_allocation():
            raise MemoryError(f"there is not enough memory to decode the {self._kind}") from error
        _look_for_memory(error)
        raise InvalidImageError(
            f"{self._kind} must be whole and undamaged; this one cannot be decoded"
        ) from error


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn every exception that a lack of memory led to into a `MemoryError`.

    Raises:
        MemoryError: if there was not enough memory.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        _look_for_memory(error)
        raise


def decode_in_memory(decode: Callable[[], Decoded], read_header: Callable[[], Header]) -> Decoded:
    """Decode, and tell a lack of memory from damage where the decoder does not.

    Args:
        decode: raises `InvalidImageError` by `decoder_errors`.
        read_header: returns the size of the image.

    Raises:
        MemoryError: if there was not enough memory.
        InvalidImageError: if the image is damaged.
    """
    try:
        return decode()
    except InvalidImageError as error:
        if not isinstance(error.__cause__, _LIBRARY_ERRORS):
            raise
        needed = _MOST_BYTES_PER_BYTE * read_header().decoded_bytes + _MORE_BYTES
        _find_memory(needed)
        if not _is_limited():
            raise
    try:
        return decode()
    except InvalidImageError:
        _find_memory(needed)
        raise


def _look_for_memory(error: Exception) -> None:
    """Raise `MemoryError` if an exception, or one that led to it, tells of a lack of memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or _MEMORY.search(str(cause)):
            raise MemoryError("there is not enough memory") from error
        cause = cause.__cause__ or cause.__context__


def _find_memory(needed: int) -> None:
    """Raise `MemoryError` if so many bytes cannot be had; they are reserved and not touched."""
    import numpy as np  # noqa: PLC0415 (the table of formats needs no library)

    np.empty(needed, np.uint8)


def _is_limited() -> bool:
    """Return whether memory can run out for this process before its machine or container does."""
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ModuleNotFoundError:
        return True
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    if any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits):
        return True
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2"
    except OSError:
        return False
