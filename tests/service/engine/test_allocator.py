import os

import pytest

from service.engine.allocator import return_free_memory, tune_allocator

VARIABLE = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"


class Library:
    """Fake of the C library.

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


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)


def test_large_arrays_stay_in_one_arena_and_tensorflow_uses_it():
    library = Library()

    assert tune_allocator(library)

    arena_max, mmap_threshold, trim_threshold = -8, -3, -1  # of malloc.h
    assert library.options[arena_max] == 1
    assert library.options[mmap_threshold] >= 1136 * 1136 * 32 * 4
    assert library.options[trim_threshold] > 1 << 30
    assert os.environ[VARIABLE] == "1"


def test_an_allocator_that_cannot_be_tuned_is_left_to_others():
    assert not tune_allocator(Library(known=(1, -8)))

    assert VARIABLE not in os.environ


def test_the_choice_of_the_operator_is_kept(monkeypatch):
    monkeypatch.setenv(VARIABLE, "0")

    tune_allocator(Library())

    assert os.environ[VARIABLE] == "0"


def test_free_memory_is_given_back_whatever_the_library():
    library = Library()

    return_free_memory(library)
    return_free_memory()

    assert library.returned == 1
