"""The application on a real socket, for clients that bring their own HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import uvicorn

from service.engine.gate import Gate
from service.engine.repository import Repository
from service.engine.segmenter import Segmenter
from service.engine.watchdog import Watchdog
from service.formats.limits import ImageLimits
from service.pipeline import Pipeline
from service.telemetry import Telemetry
from service.web.app import make_app
from service.web.body import BodyLimits
from service.web.parts import Parts


@contextmanager
def serve_live(
    repository: Repository,
    body_limits: BodyLimits | None = None,
    image_limits: ImageLimits | None = None,
    *,
    wait: bool = True,
) -> Iterator[str]:
    """Run the application in a thread and give its host and port, by default once it is ready."""
    pipeline = Pipeline(repository, Segmenter(), image_limits or ImageLimits())
    dispatcher = pipeline.segmenter.dispatcher
    parts = Parts(
        pipeline,
        Gate(dispatcher),
        Watchdog(dispatcher),
        Telemetry(dispatcher, repository),
        body_limits or BodyLimits(),
    )
    server = uvicorn.Server(uvicorn.Config(make_app(parts), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield _find_address(server, ready=wait)
    finally:
        server.should_exit = True
        thread.join(30)


def _find_address(server: uvicorn.Server, *, ready: bool) -> str:
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        if server.started:
            host, port = server.servers[0].sockets[0].getsockname()[:2]
            if not ready or httpx2.get(f"http://{host}:{port}/readyz").status_code == 200:
                return f"{host}:{port}"
        time.sleep(0.01)
    raise TimeoutError("the server did not become ready")
