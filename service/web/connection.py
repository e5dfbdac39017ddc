"""Connections with limits of time and size.

Uvicorn limits the idle time between two requests and the bytes that it reads ahead. This module
limits the rest, so that a slow or silent client cannot hold a connection for ever:

1. The head of a request must arrive within `head_s`, counted from the opening of the connection or
   from the head's first byte. It may have at most `head_bytes`. httptools has no such limit.
2. Trailers, the headers after a chunked body, are discarded. Nothing reads them.
3. The client must read the response: some of it at least every `idle_s`, all of it within
   `answer_s`. Uvicorn passes the response to the socket in one piece and does not check again.
4. The rest of a body that was refused may arrive for `answer_s` after the response.
5. A request that cannot be taken in for lack of memory gets 503, not 400 as uvicorn has it.

No request needs a timer for this: the server checks its connections once a second. The time for
reading a body is limited in `service.web.body`.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lacuna.out_of_memory import make_shortage_error


@dataclass(frozen=True)
class ConnectionTimeouts:
    """Limits of a connection.

    Attributes:
        head_s: maximum time for the head of a request. Stock clients send it in one packet.
        head_bytes: maximum size of a head. h11 and most servers allow 64 KiB as well.
        idle_s: maximum time in which the client reads nothing of a response.
        answer_s: maximum time in which the client reads a whole response.
        keep_alive_s: maximum time until the next request. It exceeds the minute for which proxies
            keep connections. Otherwise they would send requests into a closing connection.
    """

    head_s: float = 20.0
    head_bytes: int = 64 * 1024
    idle_s: float = 20.0
    answer_s: float = 300.0
    keep_alive_s: int = 75


class Connection(HttpToolsProtocol):
    """Connection with limits. The server calls `check_timeouts` about once a second.

    Attributes:
        timeouts: limits of the connection.
    """

    timeouts = ConnectionTimeouts()

    _head_bytes = 0
    # The state at the last check, and since when it has lasted: an awaited head, the rest of a
    # body, or an unsent response.
    _awaited: object = None
    _awaited_since_s = 0.0
    _unsent_bytes = 0
    _unsent_since_s = 0.0
    _progress_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        super().data_received(data)
        if self._is_in_head():
            self._head_bytes += len(data)
            if self._head_bytes > self.timeouts.head_bytes:
                self._reject(431, "the head of a request is too large")
        else:
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Begin a request, and discard the headers that follow its body."""
        super().on_headers_complete()
        self.headers = _DISCARDED_HEADERS

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed. Called while the exception of the parser is handled."""
        error = sys.exception()
        if error is not None and isinstance(error.__context__, MemoryError):
            shortage = make_shortage_error("take in the request")
            self._reject(503, shortage.message, b"retry-after: %.0f\r\n" % shortage.retry_after_s)
        else:
            super().send_400_response(msg)

    def check_timeouts(self, now_s: float) -> None:
        """Close the connection if the client exceeds a limit of time.

        Args:
            now_s: time of the event loop's clock, in seconds.
        """
        if not self._watch_answer(now_s):
            self._watch_request(now_s)

    def _watch_answer(self, now_s: float) -> bool:
        """Return True while a response is being sent; abort the connection if it is too slow."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._unsent_bytes = 0
            return False
        if not self._unsent_bytes:
            self._unsent_since_s = now_s
        if unsent != self._unsent_bytes:
            self._unsent_bytes, self._progress_s = unsent, now_s
        if (
            now_s - self._progress_s > self.timeouts.idle_s
            or now_s - self._unsent_since_s > self.timeouts.answer_s
        ):
            self.logger.info("dropped a connection that does not read its response")
            self.transport.abort()
        return True

    def _watch_request(self, now_s: float) -> None:
        if self.transport.is_closing():
            return
        awaited = self._find_awaited()
        if awaited is None or awaited is not self._awaited:
            self._awaited, self._awaited_since_s = awaited, now_s
            return
        waited_s = now_s - self._awaited_since_s
        if self._is_in_head():
            if waited_s > self.timeouts.head_s:
                self._reject(408, "the head of a request did not come in time")
        elif waited_s > self.timeouts.answer_s:
            self.transport.abort()

    def _find_awaited(self) -> object:
        """Return an object that identifies the awaited input; None if nothing is awaited."""
        if self.cycle is None:
            return self
        if not self.cycle.response_complete or self.timeout_keep_alive_task is not None:
            return None
        return self.scope

    def _is_in_head(self) -> bool:
        cycle = self.cycle
        if cycle is None:
            return True
        return cycle.response_complete and self.scope is not cycle.scope

    def _reject(self, status: int, message: str, headers: bytes = b"") -> None:
        if self.transport.is_closing():
            return
        content = message.encode()
        self.transport.write(
            STATUS_LINE[status]
            + headers
            + b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
            + b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content)
        )
        self.transport.close()


_DISCARDED_HEADERS: Any = deque[tuple[bytes, bytes]](maxlen=0)


def make_connection_class(timeouts: ConnectionTimeouts) -> type[Connection]:
    """Make a class of connections with the given limits."""
    return type("TimedConnection", (Connection,), {"timeouts": timeouts})
