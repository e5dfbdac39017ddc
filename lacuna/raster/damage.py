"""Translation of decoders' exceptions into errors of the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lacuna.errors import InvalidImageError, OutOfMemoryError, RequestError
from lacuna.out_of_memory import (
    forget_failed_allocations,
    has_failed_allocation,
    is_out_of_memory,
    make_shortage_error,
)


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Turn every exception of a decoder into one error of the request.

    Decoders meet hostile bytes with errors of every class; their texts name offsets and library
    functions and are kept as the cause only.

    Args:
        kind: what is being decoded, for the message: "PNG".

    Raises:
        OutOfMemoryError: if memory ran out. libjpeg, libwebp and OpenJPEG call that damage.
        InvalidImageError: for any other exception but `RequestError` and `ModuleNotFoundError`.
    """
    forget_failed_allocations()
    try:
        yield
    except (RequestError, ModuleNotFoundError, OutOfMemoryError):
        raise  # a library that is not installed is no fault of the file
    except Exception as error:
        if has_failed_allocation() or is_out_of_memory(error):
            raise make_shortage_error(f"decode the {kind}") from error
        raise InvalidImageError(
            f"{kind} must be whole and undamaged; this one cannot be decoded"
        ) from error
