"""Lack of memory: how exceptions show it, and how native code hides it.

1. Python and NumPy raise `MemoryError`, a thread that cannot be started a `RuntimeError`, and the
   system an `OSError`.
2. Native decoders report a failed allocation as if the file were damaged. It is still found in
   `errno` of the C library, which belongs to the thread.
3. Other native code crashes, or goes on with garbage: TensorFlow, the parser of JSON, and NumPy
   where it indexes. Where the address space of the process is limited (`ulimit -v`), its rest can
   be checked before such code is called. Elsewhere the kernel grants every allocation of a usual
   size, and ends the process if it cannot keep its word.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import sys
import threading
from functools import cache
from typing import Any

from lacuna.errors import OutOfMemoryError

if sys.platform != "win32":
    import resource

SPARE_BYTES = 64 * 1024 * 1024
"""Address space that must be left for native code, beyond the memory that is known to be needed."""

_NO_THREAD = "can't start new thread"


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an exception, or one of its group, means that memory or threads ran out."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_out_of_memory, error.exceptions))
    if isinstance(error, RuntimeError):
        return str(error) == _NO_THREAD
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError | OutOfMemoryError)


def translate_shortage(error: BaseException, work: str) -> OutOfMemoryError | None:
    """Return the error to raise instead of an exception that means that memory ran out.

    It has no traceback, whose frames would keep the arrays of the failed work in memory.

    Args:
        error: Exception, or group of exceptions.
        work: What memory was needed for, such as "run the model".

    Returns:
        The error; None if the exception means something else.
    """
    if isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(error.message, error.retry_after_s)
    return make_shortage_error(work) if is_out_of_memory(error) else None


def make_shortage_error(work: str) -> OutOfMemoryError:
    """Return the error of work that memory does not suffice for."""
    return OutOfMemoryError(f"there must be memory to {work}; it has run out")


def _find_errno() -> Any:
    """Return the function of the C library that locates `errno`; None if it is not known."""
    if sys.platform != "linux":
        return None
    locate = ctypes.CDLL(None).__errno_location  # noqa: SLF001 (its name in glibc and in musl)
    locate.restype = ctypes.POINTER(ctypes.c_int)
    return locate


class _Errno(threading.local):
    """Place of `errno`, which each thread has its own of; None where it is not known."""

    def __init__(self) -> None:
        self.place = None if _locate_errno is None else _locate_errno().contents


_locate_errno = _find_errno()
_errno = _Errno()


def forget_failed_allocations() -> None:
    """Forget that an allocation has failed in this thread."""
    place = _errno.place
    if place is not None:
        place.value = 0


def has_failed_allocation() -> bool:
    """Return True if native code of this thread has failed to allocate memory.

    Only Linux tells. Call it directly after the native code has returned.
    """
    place = _errno.place
    return place is not None and bool(place.value == errno.ENOMEM)


def check_address_space(needed_bytes: int = 0) -> None:
    """Check that memory is left for native code, if the address space of the process is limited.

    Args:
        needed_bytes: Bytes to allocate soon, as far as they are known.

    Raises:
        MemoryError: if these bytes and `SPARE_BYTES` cannot be allocated.
    """
    if not _is_limited():
        return
    wanted = needed_bytes + SPARE_BYTES
    try:
        mmap.mmap(-1, wanted, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError(f"{wanted} bytes cannot be allocated") from error


@cache
def _is_limited() -> bool:
    # A limit is set before the process starts, and this is asked several times for each request.
    if sys.platform == "win32":
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
