"""A small reverse proxy, which shows a server under a prefix as nginx and Traefik do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date"}


class Forwarding(NamedTuple):
    """Handling of the prefix of the paths that a proxy forwards.

    Attributes:
        prefix: prefix of the paths that it forwards; all others get 404.
        strips: whether it takes the prefix off.
        sends_prefix: whether it sends the prefix in `X-Forwarded-Prefix`.
    """

    prefix: str = "/lacuna"
    strips: bool = True
    sends_prefix: bool = False

    def rewrite(self, path: str) -> str | None:
        plain = path.partition("?")[0]
        if plain != self.prefix and not plain.startswith(f"{self.prefix}/"):
            return None
        rest = path[len(self.prefix) :] if self.strips else path
        return rest if rest.startswith("/") else f"/{rest}"


@contextmanager
def forward(server: str, forwarding: Forwarding) -> Iterator[str]:
    """Forward requests to a server, and give host and port where they are taken.

    Args:
        server: host and port of the server.
        forwarding: what becomes of the prefix.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = forwarding.rewrite(self.path)
            if path is None:
                self.send_error(404)
                return
            with closing(HTTPConnection(server, timeout=60)) as upstream:
                upstream.request(self.command, path, body, self._list_headers())
                response = upstream.getresponse()
                self.send_response_only(response.status)
                content = response.read()
                for name, value in response.getheaders():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def _list_headers(self) -> dict[str, str]:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _HOP_BY_HOP
            }
            came = [self.headers.get("X-Forwarded-For"), self.client_address[0]]
            headers["X-Forwarded-For"] = ", ".join(hop for hop in came if hop)
            if forwarding.sends_prefix:
                headers["X-Forwarded-Prefix"] = forwarding.prefix
            return headers

        do_GET = do_POST = _forward  # noqa: N815 (names of http.server)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join(30)
