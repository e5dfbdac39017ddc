"""A server that answers as a test wants."""

from __future__ import annotations

import itertools
import re
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import SO_LINGER, SOL_SOCKET

import httpx2

Reply = Callable[[int, bytes], bytes | None]
"""Returns what is sent back for the n-th request, from 0 on, and its body; None for silence."""

RESET = b"reset"
"""Returned instead of an answer: the connection is reset."""


def http(status: int, body: bytes = b"", *fields: str) -> bytes:
    """Write an answer."""
    lines = (f"HTTP/1.1 {status} Because", *fields, f"Content-Length: {len(body)}", "\r\n")
    return "\r\n".join(lines).encode() + body


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.read_head():
            length = re.search(rb"Content-Length: (\d+)", head)
            answer = self.server.reply_to(self.rfile.read(int(length[1]) if length else 0))
            if answer is None:
                self.server.ended.wait(30)
                return
            if answer == RESET:
                self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                return
            self.wfile.write(answer)

    def read_head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return b""
            head += line
        return head


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, reply):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ended = threading.Event()
        self._reply, self._numbers = reply, itertools.count()

    def reply_to(self, body):
        return self._reply(next(self._numbers), body)

    def handle_error(self, request, client_address):
        """Print nothing: clients come and go."""

    def shutdown_request(self, request):
        """Close without a shutdown, so that a reset can be sent."""
        self.close_request(request)


@contextmanager
def run_stub(reply: Reply) -> Iterator[httpx2.URL]:
    """Run a server in threads; one a connection."""
    with _Server(reply) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield httpx2.URL("http://{}:{}".format(*server.server_address))
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
