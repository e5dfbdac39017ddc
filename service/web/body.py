"""Reading a request's body, within a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from starlette.types import Receive

from lacuna.errors import BodyTooLargeError, SlowBodyError
from service.disconnects import ClientDisconnectedError
from service.engine.admission_gate import Reservation


@dataclass(frozen=True)
class BodyLimits:
    """How much is read, and for how long.

    Attributes:
        body_bytes: the default takes a 4096 × 4096 RGB image as float32 together with its mask,
            218 million.
        idle_s: in which something of it must come: a phone that has lost its network for a moment
            is borne with, one that is gone is not.
        body_s: in which all of it must come: the largest at 6 Mbit/s.
    """

    body_bytes: int = 224 * 1024 * 1024
    idle_s: float = 20.0
    body_s: float = 300.0


def read_declared_bytes(headers: Mapping[str, str]) -> int:
    """Read how many bytes a request announces for its body; 0 if it announces none."""
    declared = headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


async def read_body(
    receive: Receive,
    limits: BodyLimits,
    declared_bytes: int = 0,
    reservation: Reservation | None = None,
) -> bytearray:
    """Read the whole body into memory.

    Args:
        receive: of ASGI, of a request whose body was not read yet.
        limits: beyond which it is refused, by its declared length if it has one, else as soon as
            it is exceeded.
        declared_bytes: that the request announces for it; 0 if it announces none.
        reservation: of the request, which grows with a body that did not declare its length.

    Raises:
        BodyTooLargeError: if it is too large.
        SlowBodyError: if it does not come in time.
        OverloadedError: if there is no room for what its reservation has grown to.
        ClientDisconnectedError: if the client goes before the end.
    """
    if declared_bytes > limits.body_bytes:
        raise _too_large(limits, f"{declared_bytes} bytes are announced")
    body = bytearray()
    with _BodyTimeout(body, limits):
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            more = message.get("more_body", False)
            body += message.get("body", b"")
            if len(body) > limits.body_bytes:
                raise _too_large(limits, "more have come")
            if reservation is not None and len(body) > reservation.body_bytes:
                reservation.grow(len(body))
    return body


class _BodyTimeout:
    """Ends the reading of a body that does not come.

    Like asyncio.timeout, but one timer serves a whole period however many pieces come in it: that
    is a fifth of the time, in the way of every request.

    Args:
        body: that grows as it comes.
        limits: of its time.

    Raises:
        SlowBodyError: on leaving, if it was too slow.
    """

    def __init__(self, body: bytearray, limits: BodyLimits) -> None:
        self._body = body
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._end_s = self._loop.time() + limits.body_s
        self._had = 0
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("must be entered inside a task; there is none")
        self._task = task
        self._cancelling = task.cancelling()
        self._wait(min(self._limits.idle_s, self._limits.body_s))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling:
            raise SlowBodyError(
                f"some of the body must come every {self._limits.idle_s:g} s, and all of it within "
                f"{self._limits.body_s:g} s; {len(self._body)} bytes have come"
            ) from None

    def _wait(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left_s = self._end_s - self._loop.time()
        if len(self._body) > self._had and left_s > 0:
            self._had = len(self._body)
            self._wait(min(self._limits.idle_s, left_s))
        else:
            self._expired = True
            self._task.cancel()


def _too_large(limits: BodyLimits, found: str) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body must have at most {limits.body_bytes} bytes; {found}")
