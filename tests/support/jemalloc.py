"""Programs whose memory jemalloc manages as it does in the server."""

from __future__ import annotations

import os
import subprocess
import sys
from ctypes.util import find_library

import pytest

needs_jemalloc = pytest.mark.skipif(
    find_library("jemalloc") is None, reason="jemalloc is not installed"
)


def run_with_jemalloc(program: str) -> str:
    """Run a program with the allocator and its options; return what it prints.

    Args:
        program: lines of Python.
    """
    variables = {"LD_PRELOAD": str(find_library("jemalloc")), "MALLOC_CONF": "dirty_decay_ms:-1"}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
