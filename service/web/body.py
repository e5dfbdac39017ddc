"""Reading a request's body, within a limit."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from service.errors import BodyTooLargeError


@dataclass(frozen=True)
class BodyLimits:
    """How much is read.

    Attributes:
        body_bytes: the default takes a 4096 × 4096 RGB image as float32 together with its mask,
            218 million.
    """

    body_bytes: int = 224 * 1024 * 1024


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Read the whole body into memory.

    Args:
        request: whose body was not read yet.
        limits: beyond which it is refused, by its declared length if it has one, else as soon as
            it is exceeded.

    Raises:
        BodyTooLargeError: if it is too large.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_large(limits, f"{declared} bytes are announced")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.body_bytes:
            raise _too_large(limits, "more have come")
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limits: BodyLimits, found: str) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body must have at most {limits.body_bytes} bytes; {found}")
