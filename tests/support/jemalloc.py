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

_READ_RESIDENT = """
import re
from pathlib import Path

def read_resident_bytes():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) * 1024
"""


def run_with_jemalloc(program: str) -> str:
    """Run a program with the allocator and its options; return what it prints.

    Args:
        program: lines of Python. `read_resident_bytes()` is there.
    """
    variables = {"LD_PRELOAD": str(find_library("jemalloc")), "MALLOC_CONF": "dirty_decay_ms:-1"}
    return subprocess.run(
        [sys.executable, "-c", _READ_RESIDENT + program],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
