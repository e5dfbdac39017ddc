"""The application on a real socket, for clients that bring their own HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lacuna.raster.limits import ImageLimits
from service.engine.lifecycle.repository import ModelRepository
from service.listening.body_limits import BodyLimits
from service.web.app import make_app, make_metrics_app
from service.web.server import Server
from service.web.services import AppServices
from tests.support.apps import make_services
from tests.support.waiting import is_ready, wait_until


@contextmanager
def serve_live(
    repository: ModelRepository,
    body_limits: BodyLimits | None = None,
    image_limits: ImageLimits | None = None,
    *,
    wait: bool = True,
    **options: Any,
) -> Iterator[str]:
    """Run the application in a thread and give its host and port, by default once it is ready."""
    services = make_services(repository, body_limits, image_limits, **options)
    with run_server(services) as server:
        yield find_address(server, ready=wait)


@contextmanager
def run_server(
    services: AppServices, *, metrics_apart: bool = False, **options: Any
) -> Iterator[Server]:
    """Run a server of the application in a thread."""
    metrics = make_metrics_app(services) if metrics_apart else None
    server = Server(make_app(services), services.gate, port=0, metrics_app=metrics, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(30)


def find_address(
    server: Server, *, ready: bool = True, listener: int = 0, seconds: float = 30.0
) -> str:
    """Give host and port of a server once it is there."""
    if not wait_until(lambda: server.started and len(server.servers) > listener, seconds):
        raise TimeoutError("the server did not start")
    host, port = server.servers[listener].sockets[0].getsockname()[:2]
    address = f"{host}:{port}"
    if ready and not wait_until(lambda: is_ready(address), seconds):
        raise TimeoutError("the server did not become ready")
    return address


def tell_address(server: Server) -> None:
    """Write host and port of a server of this process on standard output, once it is ready.

    An empty line stands for a server that does not become ready.
    """

    def tell() -> None:
        address = ""
        with suppress(TimeoutError):
            address = find_address(server, seconds=120)
        print(address, flush=True)  # noqa: T201 (to the process that started this one)

    threading.Thread(target=tell, daemon=True).start()
