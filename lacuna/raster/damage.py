"""Translation of decoders' exceptions into errors of the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lacuna.errors import InvalidImageError, RequestError


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Turn every exception of a decoder into one error of the request.

    Decoders meet hostile bytes with errors of every class, from `struct.error` to `MemoryError`;
    their texts name offsets and library functions and are kept as the cause only.

    Args:
        kind: what is being decoded, for the message: "PNG".

    Raises:
        InvalidImageError: for any exception but `RequestError` and `ModuleNotFoundError`.
    """
    try:
        yield
    except (RequestError, ModuleNotFoundError):
        raise  # a library that is not installed is no fault of the file
    except Exception as error:
        raise InvalidImageError(
            f"{kind} must be whole and undamaged; this one cannot be decoded"
        ) from error
