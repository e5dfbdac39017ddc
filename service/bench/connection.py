"""One persistent connection to a server: HTTP/1.1, as little of it as a measurement needs.

Rules:
- One request is out at a time; the listener hears of each connection exactly one `on_lost`, last.
- An answer has a Content-Length. Anything else is damage, and the connection is given up.
- An answer that comes before its request is sent to the end, or that says `Connection: close`, is
  heard, and then the connection is given up: what follows on it would mean nothing.
- Large requests are handed over in pieces, as fast as the other side takes them.
"""

from __future__ import annotations

import asyncio
import re
from typing import Protocol, cast

_PIECE_BYTES = 1024 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*(?:\r\n|$)")


class Listener(Protocol):
    """Who hears of a connection."""

    def on_open(self, connection: Connection, /) -> None:
        """Hear that it can be used."""

    def on_answer(self, connection: Connection, status: int, head: bytes, body: bytes, /) -> None:
        """Hear an answer: its status, its head in lower case, its body."""

    def on_lost(self, connection: Connection, /) -> None:
        """Hear that it is over, with or without an answer owed."""


class Connection(asyncio.Protocol):
    """Sends requests and hands their answers to a listener.

    Args:
        listener: who hears of it.

    Attributes:
        is_open: whether a request may be sent, if none is out.
        answers: how many have come on it.
    """

    def __init__(self, listener: Listener) -> None:
        self.is_open = False
        self.answers = 0
        self._listener = listener
        self._transport: asyncio.Transport
        self._unsent = memoryview(b"")
        self._may_write = True
        self._head = b""
        self._body: list[bytes] = []
        self._status = 0  # while the head is read
        self._missing_bytes = 0  # of the body

    def ask(self, request: bytes) -> None:
        """Send a request. Only while open and with none out."""
        self._unsent = memoryview(request)
        self._send()

    def abort(self) -> None:
        """Give the connection up at once."""
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        self._listener.on_open(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (what broke it does not matter)
        """End."""
        self.is_open = False
        self._unsent = memoryview(b"")
        self._listener.on_lost(self)

    def pause_writing(self) -> None:
        """Hold back, the other side is slower."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Go on sending."""
        self._may_write = True
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take in a piece of an answer."""
        if not self.is_open:
            return
        if not self._status:
            data = self._read_head(self._head + data)
            if not self._status:
                return
        self._body.append(data)
        self._missing_bytes -= len(data)
        if self._missing_bytes == 0:
            self._finish()
        elif self._missing_bytes < 0:
            self.abort()

    def _send(self) -> None:
        while self._unsent and self._may_write:
            piece, self._unsent = self._unsent[:_PIECE_BYTES], self._unsent[_PIECE_BYTES:]
            self._transport.write(piece)

    def _read_head(self, data: bytes) -> bytes:
        """Read the head once all of it is there, and give what follows it."""
        head, end, rest = data.partition(b"\r\n\r\n")
        self._head = data
        if not end:
            if len(data) > _MAX_HEAD_BYTES:
                self.abort()
            return b""
        head = head.lower()
        length = _LENGTH.search(head)
        if length is None or not head.startswith(b"http/1.1 ") or not head[9:12].isdigit():
            self.abort()
            return b""
        self._head, self._status, self._missing_bytes = head, int(head[9:12]), int(length[1])
        return rest

    def _finish(self) -> None:
        status, head, body = self._status, self._head, b"".join(self._body)
        self._head, self._body, self._status = b"", [], 0
        is_last = bool(self._unsent) or b"\r\nconnection: close" in head
        self.answers += 1
        if is_last:
            self.is_open = False
            self._unsent = memoryview(b"")
        self._listener.on_answer(self, status, head, body)
        if is_last:
            self._transport.abort()
