import ctypes
import errno
import resource
import subprocess
import sys

import numpy as np
import pytest

from lacuna.errors import InvalidImageError, NotReadyError, OutOfMemoryError
from lacuna.out_of_memory import (
    check_address_space,
    forget_failed_allocations,
    has_failed_allocation,
    is_out_of_memory,
    translate_shortage,
)
from lacuna.raster.damage import decoder_errors

ABSURD_BYTES = 1 << 60


def catch(work):
    try:
        work()
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is looked at)
        return error
    raise AssertionError("nothing was raised")


def allocate_natively():
    """Ask the C library for more than there is; it returns NULL."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return malloc(ABSURD_BYTES)


@pytest.mark.parametrize(
    "error",
    [
        catch(lambda: bytearray(ABSURD_BYTES)),
        catch(lambda: np.zeros(ABSURD_BYTES, np.uint8)),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        OutOfMemoryError("there must be memory"),
        ExceptionGroup("two tasks", [ValueError("no"), ExceptionGroup("one", [MemoryError()])]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lack_of_memory_is_recognized_however_it_shows_itself(error):
    assert is_out_of_memory(error)
    translated = translate_shortage(error, "decode")
    assert translated.__traceback__ is None
    assert "there must be memory" in translated.message


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no memory"),
        RuntimeError("no thread"),
        RecursionError("too deep"),
        OSError(errno.ENOSPC, "No space left on device"),
        NotReadyError("no"),
        ExceptionGroup("tasks", [ValueError("no")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_failures_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)
    assert translate_shortage(error, "decode") is None


def test_a_failed_allocation_of_native_code_is_known_until_it_is_forgotten():
    forget_failed_allocations()
    assert not has_failed_allocation()
    assert not allocate_natively()
    assert has_failed_allocation()
    forget_failed_allocations()
    assert not has_failed_allocation()


def decode_without_memory():
    with decoder_errors("JPEG"):
        allocate_natively()
        raise OSError("broken data stream")


def test_a_decoder_without_memory_does_not_call_the_file_damaged():
    with pytest.raises(MemoryError, match="not enough memory to decode the JPEG"):
        decode_without_memory()
    with pytest.raises(MemoryError), decoder_errors("PNG"):
        bytearray(ABSURD_BYTES)


def test_a_file_that_is_damaged_after_a_shortage_is_damaged():
    allocate_natively()

    with pytest.raises(InvalidImageError, match="whole and undamaged"), decoder_errors("JPEG"):
        raise OSError("broken data stream")


def test_an_unlimited_address_space_is_not_looked_at():
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    check_address_space(ABSURD_BYTES)


def test_a_limited_address_space_is_checked_before_native_code_is_called():
    program = """
import resource
from lacuna.out_of_memory import check_address_space
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))
check_address_space(1 << 20)
try:
    check_address_space((4 << 30) - (64 << 20))
except MemoryError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "4294967296 bytes cannot be allocated\n"
