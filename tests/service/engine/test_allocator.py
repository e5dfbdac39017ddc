import os
import re
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from service.engine.allocator import return_free_memory, tune_allocator

VARIABLE = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
IMAGE = (Path(__file__).parents[3] / "Dockerfile").read_text()
OPTIONS = {name: re.findall(rf"{name}=(\S+)", IMAGE)[0] for name in ("LD_PRELOAD", "MALLOC_CONF")}
"""Variables of the image for its allocator."""


class Glibc:
    """Fake of glibc.

    Attributes:
        options: Parameters of the allocator that were set.
        returned: Number of times that free memory was given back.
    """

    def __init__(self, known=(1, -1, -3, -8)):
        self.known, self.options, self.returned = known, {}, 0

    def mallopt(self, parameter, value, /):
        self.options[parameter] = value
        return int(parameter in self.known)

    def malloc_trim(self, pad, /):
        self.returned += pad == 0
        return 1


class Jemalloc(Glibc):
    """Fake of a process into which jemalloc was loaded: glibc's functions are still there.

    Attributes:
        controls: Names of what was carried out.
    """

    def __init__(self):
        super().__init__()
        self.controls = []

    def mallctl(self, name, *values):
        self.controls.append(name)
        return 0


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)


def test_large_arrays_stay_in_one_arena_and_tensorflow_uses_it():
    library = Glibc()

    assert tune_allocator(library)

    arena_max, mmap_threshold, trim_threshold = -8, -3, -1  # of malloc.h
    assert library.options[arena_max] == 1
    assert library.options[mmap_threshold] >= 1136 * 1136 * 32 * 4
    assert library.options[trim_threshold] > 1 << 30
    assert os.environ[VARIABLE] == "1"


def test_an_allocator_that_cannot_be_tuned_is_left_to_others():
    assert not tune_allocator(Glibc(known=(1, -8)))

    assert VARIABLE not in os.environ


def test_the_choice_of_the_operator_is_kept(monkeypatch):
    monkeypatch.setenv(VARIABLE, "0")

    tune_allocator(Glibc())

    assert os.environ[VARIABLE] == "0"


def test_free_memory_is_given_back_whatever_the_library():
    library = Glibc()

    return_free_memory(library)
    return_free_memory()

    assert library.returned == 1


def test_jemalloc_is_used_with_its_own_options():
    library = Jemalloc()

    assert tune_allocator(library)
    return_free_memory(library)

    assert not library.options
    assert os.environ[VARIABLE] == "1"
    assert library.controls == [b"arena.4096.purge"]
    assert not library.returned


_TAKE_AND_RETURN = """
from threading import Thread

import numpy as np

from service.engine.allocator import return_free_memory, tune_allocator
from service.engine.memory import read_resident_bytes

def work():
    arrays = [np.ones(1 << 21) for _ in range(16)]
    del arrays
    kept = read_resident_bytes()
    return_free_memory()
    print(kept - read_resident_bytes())


assert tune_allocator()
Thread(target=work).start()
"""


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["glibc", "jemalloc"])
def test_memory_is_kept_and_then_given_back(options):
    if options and find_library("jemalloc") is None:
        pytest.skip("jemalloc is not installed")
    command = [sys.executable, "-c", _TAKE_AND_RETURN]

    returned = subprocess.check_output(command, env=os.environ | options, text=True)

    assert int(returned) > 15 * (16 << 20)
