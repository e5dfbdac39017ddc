"""gRPC over one persistent connection: the part of it that a measurement needs.

Rules:
- One call is in flight at a time, with one message each way.
- Requests are cut into frames beforehand; a call adds the number of its stream.
- The server is told to keep no table of header fields, so its trailers are literal, and the status
  is found without a decoder. Ours are numbers of the server's table after the first call.
- Flow control is obeyed. The windows for answers are as large as they may be.
- What is not expected, such as a status other than OK, is an error, and the connection is lost.

Frames are those of RFC 9113, header fields those of RFC 7541.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4
_TABLE_SIZE, _INITIAL_WINDOW = 1, 4
_FIRST_WINDOW, _LARGEST_WINDOW = 2**16 - 1, 2**31 - 1
_FRAME_BYTES = 2**14
_HEAD = struct.Struct(">HBBBI")  # length / 256, length % 256, type, flags, stream
_PREFIX = struct.Struct(">BI")  # compressed, length
_PIECE_BYTES = 256 * 1024

_STATUS_OK = b"grpc-status\x010"
_STATIC = b"\x83\x86"  # :method POST, :scheme http
_REPEATED = _STATIC + b"\xc1\xc0\xbf\xbe"


class CallFailedError(ConnectionError):
    """The call has no answer, or its status is not OK."""


class PreparedCall:
    """Call whose frames are prepared.

    Args:
        message: encoded message.

    Attributes:
        frames: type, flags and payload of each DATA frame.
    """

    def __init__(self, message: bytes) -> None:
        content = _PREFIX.pack(0, len(message)) + message
        pieces = [content[at : at + _FRAME_BYTES] for at in range(0, len(content), _FRAME_BYTES)]
        self.frames = [(0, piece) for piece in pieces[:-1]] + [(_END_STREAM, pieces[-1])]


class RpcConnection:
    """Connection that carries one call of a method after another.

    Args:
        reader: stream from the server.
        writer: stream to the server.
        fields: encoded header fields of the first call.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: bytes
    ) -> None:
        self._reader, self._writer = reader, writer
        self._fields = fields
        self._stream = -1
        self._received = b""
        self._initial_window = self._window = self._stream_window = _FIRST_WINDOW
        self._uncredited = 0

    @classmethod
    async def open(cls, host: str, port: int, path: str) -> RpcConnection:
        """Connect to a server.

        Args:
            host: address of the server.
            port: its port for gRPC.
            path: path of the method, such as `/package.Service/Method`.

        Raises:
            OSError: if it cannot be reached.
            ValueError: if the path has 127 bytes or more.
        """
        fields = _STATIC + _encode_fields(path)
        self = cls(*await asyncio.open_connection(host, port, limit=_PIECE_BYTES), fields)
        settings = struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, _LARGEST_WINDOW)
        self._writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings))
        self._widen(_LARGEST_WINDOW - _FIRST_WINDOW)
        return self

    async def call(self, prepared: PreparedCall) -> bytes:
        """Call the method, and return the encoded answer.

        Raises:
            CallFailedError: if there is no answer, or its status is not OK.
        """
        self._stream += 2
        self._stream_window = self._initial_window
        parts = [_frame(_HEADERS, _END_HEADERS, self._stream, self._fields)]
        # From now on the server has the other fields in its table.
        self._fields = _REPEATED
        for flags, piece in prepared.frames:
            if len(piece) > min(self._window, self._stream_window):
                self._writer.write(b"".join(parts))
                parts = []
                await self._wait_for_window(len(piece))
            self._window -= len(piece)
            self._stream_window -= len(piece)
            parts.append(_frame(_DATA, flags, self._stream, piece))
        self._writer.write(b"".join(parts))
        return await self._read_answer()

    async def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _wait_for_window(self, size: int) -> None:
        while size > min(self._window, self._stream_window):
            kind, flags, stream, payload = await self._read_frame()
            if kind in {_DATA, _HEADERS}:
                raise CallFailedError(
                    f"an answer must follow its call; it came before: {payload!r}"
                )
            self._obey(kind, flags, stream, payload)

    async def _read_answer(self) -> bytes:
        content = b""
        while True:
            kind, flags, stream, payload = await self._read_frame()
            if kind == _DATA:
                content += payload
                self._credit(len(payload))
            elif kind == _HEADERS and flags & _END_STREAM:
                if _STATUS_OK not in payload:
                    raise CallFailedError(f"a call must end with the status 0; it has {payload!r}")
                break
            elif kind != _HEADERS:
                self._obey(kind, flags, stream, payload)
        if content[: _PREFIX.size] != _PREFIX.pack(0, len(content) - _PREFIX.size):
            raise CallFailedError("an answer must be one message, not compressed; it is not")
        return content[_PREFIX.size :]

    async def _read_frame(self) -> tuple[int, int, int, bytes]:
        """Return type, flags, stream and payload of the next frame."""
        end = _HEAD.size
        while len(self._received) < end:
            await self._read()
        high, low, kind, flags, stream = _HEAD.unpack_from(self._received)
        end += high << 8 | low
        while len(self._received) < end:
            await self._read()
        payload = self._received[_HEAD.size : end]
        self._received = self._received[end:]
        return kind, flags, stream, payload

    async def _read(self) -> None:
        piece = await self._reader.read(_PIECE_BYTES)
        if not piece:
            raise CallFailedError("the connection was lost")
        self._received += piece

    def _obey(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Do what a frame demands that is no part of an answer."""
        if kind == _WINDOW:
            if stream == 0:
                self._window += int.from_bytes(payload)
            elif stream == self._stream:
                self._stream_window += int.from_bytes(payload)
        elif kind in {_RESET, _GOAWAY}:
            raise CallFailedError(f"the server must not end the call; it did, with {payload!r}")
        elif kind == _SETTINGS and not flags & _ACK:
            self._adopt(dict(struct.iter_unpack(">HI", payload)))
            self._writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._writer.write(_frame(_PING, _ACK, 0, payload))

    def _adopt(self, settings: dict[int, int]) -> None:
        window = settings.get(_INITIAL_WINDOW, self._initial_window)
        self._stream_window += window - self._initial_window
        self._initial_window = window

    def _credit(self, received_bytes: int) -> None:
        """Let the server send more on the connection, seldom."""
        self._uncredited += received_bytes
        if self._uncredited > _LARGEST_WINDOW // 2:
            self._widen(self._uncredited)
            self._uncredited = 0

    def _widen(self, count: int) -> None:
        self._writer.write(_frame(_WINDOW, 0, 0, count.to_bytes(4)))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def _encode_fields(path: str) -> bytes:
    """Encode the fields that the server adds to its table, in this order."""
    named = ((b"\x41", "benchmark"), (b"\x44", path), (b"\x5f", "application/grpc"))
    fields = [name + _encode_text(value) for name, value in named]
    return b"".join([*fields, b"\x40", _encode_text("te"), _encode_text("trailers")])


def _encode_text(text: str) -> bytes:
    if len(text) >= 127:
        raise ValueError(f"a field must have less than 127 bytes; {text} has {len(text)}")
    return bytes([len(text)]) + text.encode()
