"""The process' allocator: how it keeps memory for the next call, and gives it back.

TensorFlow's own allocator keeps all that its largest calls ever took. That of the process can give
memory back: jemalloc where it is installed, which is faster with several workers; or the C
library's. By default the latter asks the system anew for each array of 32 MB or more, and the
system clears every page: large windows then take up to 1.7 times as long. So both are told to keep
memory. It is given back when the server is idle, and for huge images (docs/decisions/0029).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from ctypes.util import find_library
from typing import Any, Protocol

from typing_extensions import TypeIs

# Parameters of `mallopt`, from glibc's malloc.h.
_MAX_FAST = 1
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

_JEMALLOC_VARIABLES = {"MALLOC_CONF": "dirty_decay_ms:-1"}
"""Options of jemalloc, from `jemalloc(3)`: it keeps memory until it is told to give it back."""

_PURGE = b"arena.4096.purge"
"""Name of jemalloc's control that returns the free memory of all arenas, from `mallctl(3)`."""

_KEPT_BYTES = 512 << 20
"""Smallest array that the system is asked for, and that it gets back at once. An intermediate array
of three windows of 1024² with 32 channels has 403 MB. Bodies and images may have more."""

_OPTIONS = {
    # Freed parts of up to 128 bytes stay apart from their neighbours, and TensorFlow's aligned
    # arrays leave one on each side. Gaps of the right size would then not be used again.
    _MAX_FAST: 0,
    # One arena for all threads, because others can only hold arrays of less than 64 MB.
    # TensorFlow's allocator has one lock for all threads as well.
    _ARENA_MAX: 1,
    _MMAP_THRESHOLD: _KEPT_BYTES,
    _TRIM_THRESHOLD: (1 << 31) - 1,
}


class Glibc(Protocol):
    """Functions of glibc; other C libraries have none of them."""

    def mallopt(self, parameter: int, value: int, /) -> int:
        """Set a parameter of the allocator; return 0 if that is not possible."""

    def malloc_trim(self, pad: int, /) -> int:
        """Return free memory to the system."""


class Jemalloc(Protocol):
    """Functions of a process into which jemalloc was loaded: it serves all of its allocations."""

    def mallctl(self, name: bytes, *values: object) -> int:
        """Read, write or carry out what has this name; return 0 if that was possible."""


def _find_library() -> Any:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None


def _is_jemalloc(library: Glibc | Jemalloc) -> TypeIs[Jemalloc]:
    return hasattr(library, "mallctl")


def _set_options(library: Glibc) -> bool:
    return all(library.mallopt(*option) for option in _OPTIONS.items())


def load_jemalloc(
    find: Callable[[str], str | None] = find_library,
    start: Callable[[str, list[str], Mapping[str, str]], object] = os.execve,
) -> None:
    """Start this process anew with jemalloc, if that is installed. It cannot be loaded later.

    Call it before other threads exist. The process keeps its number and its arguments. If the
    variable `LD_PRELOAD` is set, even if it is empty, nothing happens. `MALLOC_CONF` is kept.

    Args:
        find: function that returns the name of a library's file, or None.
        start: function that replaces this process by another program.
    """
    if sys.platform != "linux" or "LD_PRELOAD" in os.environ:
        return
    library = find("jemalloc")
    if library is not None:
        variables = _JEMALLOC_VARIABLES | os.environ | {"LD_PRELOAD": library}
        start(sys.executable, sys.orig_argv, variables)


def tune_allocator(library: Glibc | Jemalloc | None = None) -> bool:
    """Let the process' allocator keep memory, and TensorFlow use it.

    Call it before TensorFlow is imported, and best before other threads exist. If the variable
    `TF_ONEDNN_USE_SYSTEM_ALLOCATOR` is set, it is kept. So are jemalloc's own options.

    Args:
        library: Library with the allocator; None for that of the process.

    Returns:
        False if the process does not have such an allocator. TensorFlow then uses its own.
    """
    library = library or _find_library()
    if library is None or not (_is_jemalloc(library) or _set_options(library)):
        return False
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    return True


def return_free_memory(library: Glibc | Jemalloc | None = None) -> None:
    """Return all free memory to the system. That takes about 0.1 s for a gigabyte.

    Args:
        library: Library with the allocator; None for that of the process.
    """
    library = library or _find_library()
    if library is None:
        return
    if _is_jemalloc(library):
        library.mallctl(_PURGE, None, None, None, ctypes.c_size_t(0))
    else:
        library.malloc_trim(0)
