import os
import re
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from service.engine.allocator import load_jemalloc, return_free_memory, tune_allocator
from tests.support.jemalloc import needs_jemalloc

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


class Restart:
    """Fake of `os.execve`.

    Attributes:
        program: Path of the program that replaced the process.
        arguments: What it got.
        variables: Its environment.
    """

    def __call__(self, program, arguments, variables):
        self.program, self.arguments, self.variables = program, arguments, variables


@pytest.fixture
def restart():
    return Restart()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems load libraries in other ways")
def test_a_server_is_started_anew_with_jemalloc_where_it_is_installed(restart, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.delenv("MALLOC_CONF", raising=False)
    monkeypatch.setenv("ANOTHER", "kept")

    load_jemalloc({"jemalloc": OPTIONS["LD_PRELOAD"]}.get, restart)

    assert (restart.program, restart.arguments) == (sys.executable, sys.orig_argv)
    assert restart.variables == os.environ | OPTIONS
    assert restart.variables["ANOTHER"] == "kept"


def test_options_of_jemalloc_are_kept(restart, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.setenv("MALLOC_CONF", "narenas:1")

    load_jemalloc({"jemalloc": "libjemalloc.so.2"}.get, restart)

    assert restart.variables["MALLOC_CONF"] == "narenas:1"


@pytest.mark.parametrize("preloaded", ["", "libtcmalloc.so.4"])
def test_a_server_whose_libraries_were_chosen_goes_on(preloaded, restart, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", preloaded)

    load_jemalloc({"jemalloc": "libjemalloc.so.2"}.get, restart)

    assert not vars(restart)


def test_a_server_without_jemalloc_goes_on(restart, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)

    load_jemalloc({}.get, restart)

    assert not vars(restart)


_START = """
import sys
from pathlib import Path

from service.engine.allocator import load_jemalloc

load_jemalloc()
print("libjemalloc" in Path("/proc/self/maps").read_text(), *sys.argv[1:])
"""


@needs_jemalloc
@pytest.mark.parametrize(("variables", "loaded"), [({}, True), ({"LD_PRELOAD": ""}, False)])
def test_jemalloc_is_loaded_unless_that_is_switched_off(variables, loaded):
    inherited = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, "-c", _START, "an", "argument"]

    printed = subprocess.check_output(command, env=inherited | variables, text=True)

    assert printed == f"{loaded} an argument\n"


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
