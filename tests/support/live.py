"""The application on a real socket, for clients that bring their own HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from lacuna.raster.limits import ImageLimits
from service.engine.lifecycle.repository import ModelRepository
from service.web.app import make_app, make_metrics_app
from service.web.body import BodyLimits
from service.web.server import Server
from service.web.services import AppServices
from tests.support.apps import make_services


@contextmanager
def serve_live(
    repository: ModelRepository,
    body_limits: BodyLimits | None = None,
    image_limits: ImageLimits | None = None,
    *,
    wait: bool = True,
) -> Iterator[str]:
    """Run the application in a thread and give its host and port, by default once it is ready."""
    services = make_services(repository, body_limits, image_limits)
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


def find_address(server: Server, *, ready: bool = True, listener: int = 0) -> str:
    """Give host and port of a server once it is there."""
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        if server.started and len(server.servers) > listener:
            host, port = server.servers[listener].sockets[0].getsockname()[:2]
            if not ready or httpx2.get(f"http://{host}:{port}/readyz").status_code == 200:
                return f"{host}:{port}"
        time.sleep(0.01)
    raise TimeoutError("the server did not become ready")
