"""A connection that nobody can hold for nothing.

What uvicorn bounds stays its business: how long a connection may be idle between two requests, and
how much of a body is read ahead. What it leaves open is bounded here:

1. The head of a request must come within `head_s` of the connection, or of its own first byte, and
   have at most `head_bytes`. httptools itself would collect it for ever.
2. Headers after a chunked body are dropped: nobody reads them, and they would be collected too.
3. An answer must be taken: while it is not, something of it must go out every `idle_s`, and all of
   it within `answer_s`. Uvicorn hands it to the socket in one piece and never looks again.
4. What comes after an answer, the rest of a body that nobody wants, may come for `answer_s`.

Nothing of that costs a request a timer: the server looks at its connections once a second.
How long a body may take is decided where it is read (`service.web.body`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol


@dataclass(frozen=True)
class ConnectionTimeouts:
    """How long a connection is waited for.

    Attributes:
        head_s: for the head of a request. Stock clients send it at once.
        head_bytes: of a head; 64 KiB is what h11 and most servers take at the most.
        idle_s: for a sign that an answer is being taken.
        answer_s: for all of an answer to be taken.
        keep_alive_s: for the next request. Longer than the minute that proxies keep connections
            for, or they send requests into one that is just being closed.
    """

    head_s: float = 20.0
    head_bytes: int = 64 * 1024
    idle_s: float = 20.0
    answer_s: float = 300.0
    keep_alive_s: int = 75


class Connection(HttpToolsProtocol):
    """One connection. `look` is to be called every second or so.

    Attributes:
        timeouts: with it.
    """

    timeouts = ConnectionTimeouts()

    _head_bytes = 0
    # What was seen at the last look, and since when: a head awaited, a body's rest, an answer.
    _awaited: object = None
    _awaited_since_s = 0.0
    _unsent_bytes = 0
    _unsent_since_s = 0.0
    _moved_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        super().data_received(data)
        if self._is_in_head():
            self._head_bytes += len(data)
            if self._head_bytes > self.timeouts.head_bytes:
                self._refuse(431, "the head of a request is too large")
        else:
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Begin a request; headers from here on are none of it."""
        super().on_headers_complete()
        self.headers = _NOWHERE

    def look(self, now_s: float) -> None:
        """End the connection if it is held for nothing.

        Args:
            now_s: of the loop's clock.
        """
        if not self._watch_answer(now_s):
            self._watch_request(now_s)

    def _watch_answer(self, now_s: float) -> bool:
        """Tell whether an answer is still going out."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._unsent_bytes = 0
            return False
        if not self._unsent_bytes:
            self._unsent_since_s = now_s
        if unsent != self._unsent_bytes:
            self._unsent_bytes, self._moved_s = unsent, now_s
        if (
            now_s - self._moved_s > self.timeouts.idle_s
            or now_s - self._unsent_since_s > self.timeouts.answer_s
        ):
            self.logger.info("dropped a connection that does not take its answer")
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
                self._refuse(408, "the head of a request did not come in time")
        elif waited_s > self.timeouts.answer_s:
            self.transport.abort()

    def _find_awaited(self) -> object:
        """Give what stands for that which should come now, or None if nothing has to."""
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

    def _refuse(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        content = message.encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
            + b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content)
        )
        self.transport.close()


_NOWHERE: Any = deque[tuple[bytes, bytes]](maxlen=0)


def make_connection_class(timeouts: ConnectionTimeouts) -> type[Connection]:
    """Make the class of a server's connections."""
    return type("TimedConnection", (Connection,), {"timeouts": timeouts})
