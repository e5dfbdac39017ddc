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


def read_declared_length(request: Request) -> int:
    """Give the length in bytes that a request announces for its body, 0 if it announces none."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else 0


async def read_body(request: Request, limits: BodyLimits) -> bytearray:
    """Read the whole body into memory.

    Args:
        request: whose body was not read yet.
        limits: beyond which it is refused, by its declared length if it has one, else as soon as
            it is exceeded.

    Raises:
        BodyTooLargeError: if it is too large.
    """
    declared = read_declared_length(request)
    if declared > limits.body_bytes:
        raise _too_large(limits, f"{declared} bytes are announced")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.body_bytes:
            raise _too_large(limits, "more have come")
    return body


def _too_large(limits: BodyLimits, found: str) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body must have at most {limits.body_bytes} bytes; {found}")
