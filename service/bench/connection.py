"""HTTP/1.1 over one persistent connection: the part of it that a measurement needs.

Rules:
- One request is in flight at a time.
- A response has a Content-Length. Anything else is damaged, and the connection is lost.
- A response that comes before its request is sent in full, or that says `Connection: close`, is
  returned, and the connection is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import NamedTuple

import httpx2

_PIECE_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_STATUS = re.compile(rb"http/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*(?:\r\n|$)")


class ConnectionLostError(ConnectionError):
    """The connection was closed, or the response was damaged."""

    def __init__(self) -> None:
        super().__init__("the connection was lost")


class RawResponse(NamedTuple):
    """HTTP response.

    Attributes:
        status: status code.
        head: status line and header lines, in lower case.
        body: content, as it was sent.
    """

    status: int
    head: bytes
    body: bytes


class ClientConnection:
    """Connection that carries one request after another.

    Args:
        reader: stream from the server.
        writer: stream to the server.

    Attributes:
        responses: number of complete responses so far.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.responses = 0
        self._reader, self._writer = reader, writer
        self._is_reusable = True

    @classmethod
    async def open(cls, server: httpx2.URL) -> ClientConnection:
        """Connect to a server.

        Args:
            server: URL of the server.

        Raises:
            OSError: if it cannot be reached.
        """
        tls = server.scheme == "https"
        port = server.port or (443 if tls else 80)
        return cls(
            *await asyncio.open_connection(server.host, port, ssl=tls or None, limit=_PIECE_BYTES)
        )

    @property
    def is_open(self) -> bool:
        """True if a request can be sent."""
        return self._is_reusable and not self._reader.at_eof() and not self._writer.is_closing()

    async def exchange(self, request: bytes) -> RawResponse:
        """Send a request and return the response.

        Args:
            request: head and body.

        Raises:
            ConnectionLostError: if no complete response comes.
        """
        if not self.is_open:
            raise ConnectionLostError
        self._is_reusable = False  # until the response is complete
        # Without waiting for the request to be sent: the response may come before that.
        self._writer.write(request)
        response = await self._read_response()
        unsent_bytes = self._writer.transport.get_write_buffer_size()
        self._is_reusable = not unsent_bytes and b"\r\nconnection: close" not in response.head
        self.responses += 1
        return response

    async def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read_response(self) -> RawResponse:
        received = b""
        while b"\r\n\r\n" not in received:
            if len(received) > _MAX_HEAD_BYTES:
                raise ConnectionLostError
            received += await self._read_piece()
        head, _, body = received.partition(b"\r\n\r\n")
        head = head.lower()
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or length is None:
            raise ConnectionLostError
        pieces, missing_bytes = [body], int(length[1]) - len(body)
        while missing_bytes > 0:
            pieces.append(await self._read_piece())
            missing_bytes -= len(pieces[-1])
        if missing_bytes < 0:
            raise ConnectionLostError
        return RawResponse(int(status[1]), head, b"".join(pieces))

    async def _read_piece(self) -> bytes:
        try:
            piece = await self._reader.read(_PIECE_BYTES)
        except OSError as error:
            raise ConnectionLostError from error
        if not piece:
            raise ConnectionLostError
        return piece
