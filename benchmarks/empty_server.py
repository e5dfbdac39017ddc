"""Server whose handlers do nothing, over HTTP and over gRPC: the cost of uvicorn and of `grpc.aio`.

    python benchmarks/empty_server.py BYTES

Each request is read in full, and answered with so many bytes. `/metrics` tells the processor time,
as lacuna's does. Once both ports are open, they are printed, that of HTTP first.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import httpx2
import uvicorn
from prometheus_client import generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.bench.load import run_in_loop


class EmptyServer(NamedTuple):
    """Server that runs.

    Attributes:
        url: URL of the server.
        port: port for gRPC.
    """

    url: httpx2.URL
    port: int


@contextlib.contextmanager
def start_empty_server(answer_bytes: int) -> Iterator[EmptyServer]:
    """Start the server in a process of its own, and end it afterwards.

    Args:
        answer_bytes: size of each answer.
    """
    command = [sys.executable, __file__, str(answer_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (ours)
        try:
            ports = "" if process.stdout is None else process.stdout.readline()
            http, rpc = map(int, ports.split())
            yield EmptyServer(httpx2.URL(f"http://127.0.0.1:{http}"), rpc)
        finally:
            process.kill()


def make_empty_app(answer: bytes) -> ASGIApp:
    """Make an application that gives the same answer to every request, except for its metrics."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        content = generate_latest() if scope["path"] == "/metrics" else answer
        head = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": content})

    return app


# gRPC has no types.
class _EmptyHandlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The handler of every method. It is a unary one, the kind that costs `grpc.aio` least."""

    def __init__(self, answer: bytes) -> None:
        async def handle(_: bytes, __: grpc.aio.ServicerContext) -> bytes:
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(handle)

    def service(self, _: Any) -> Any:
        return self._handler


class _HttpServer(uvicorn.Server):
    """Server for HTTP that prints both ports."""

    def __init__(self, config: uvicorn.Config, rpc_port: int) -> None:
        super().__init__(config)
        self._rpc_port = rpc_port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], self._rpc_port, flush=True)


async def serve(answer: bytes) -> None:
    """Serve on free ports until the process is ended."""
    rpc = grpc.aio.server(handlers=(_EmptyHandlers(answer),))
    rpc_port = rpc.add_insecure_port("127.0.0.1:0")
    await rpc.start()
    app = make_empty_app(answer)
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    await _HttpServer(config, rpc_port).serve()


def main() -> None:
    """Run the server."""
    run_in_loop(lambda: serve(bytes(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
