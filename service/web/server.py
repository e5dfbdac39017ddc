"""The server around the application: ports, signals and graceful shutdown.

1. The first SIGTERM or SIGINT closes the gate. `/readyz` returns 503, new work is refused with 503
   and `Retry-After`, and every response closes its connection. Admitted requests continue.
2. The port stays open meanwhile. Uvicorn would close it at once. Clients that connect before the
   orchestrator has removed the server would then get no answer, instead of one that says "retry".
3. When the last admitted request is answered, or `drain_s` is over, the port is closed and pending
   responses are sent. Then the process ends with status 0, or with 1 if a request was cut off.
4. A second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from service.engine.admission_gate import AdmissionGate
from service.web.connection import Connection, ConnectionTimeouts, make_connection_class

log = logging.getLogger(__name__)

CLOSING_S = 3.0
"""Maximum seconds for shutdown after the drain. A thread that hangs longer is abandoned."""

_TICKS_PER_CHECK = 10  # a tick of uvicorn's is a tenth of a second


class Server(uvicorn.Server):
    """HTTP server that drains after a signal.

    Args:
        app: application to serve.
        gate: admission gate of the application.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        timeouts: limits of connections.
        drain_s: seconds in which admitted requests must be answered after a signal.
        metrics_app: application to serve on a separate port; None for none.
        metrics_port: port of `metrics_app`; 0 for any free one.
        end: function that ends the process with a status, whatever still runs; None never to end
            it that way.

    Attributes:
        has_cut_off: True if an admitted request was not answered.
    """

    def __init__(
        self,
        app: FastAPI,
        gate: AdmissionGate,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        timeouts: ConnectionTimeouts | None = None,
        drain_s: float = 25.0,
        metrics_app: ASGIApp | None = None,
        metrics_port: int = 0,
        end: Callable[[int], object] | None = None,
    ) -> None:
        self._timeouts = timeouts or ConnectionTimeouts()
        super().__init__(_configure(app, host, port, self._timeouts))
        self._metrics = metrics_app and _configure(metrics_app, host, metrics_port, self._timeouts)
        self._gate = gate
        self._drain_s = drain_s
        self._drained_by_s: float | None = None
        self._end = end
        self.has_cut_off = False

    def drain(self) -> None:
        """Admit no more requests, and end when all admitted ones are answered."""
        self._gate.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; end the process at the second."""
        del frame
        if self._gate.is_closed and self._end is not None:
            self._end(128 + sig)
        self.drain()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the ports."""
        await super().startup(sockets)
        if self._metrics is not None and self.started:
            await self._open_metrics(self._metrics)

    async def on_tick(self, counter: int) -> bool:
        """Check the connections and the drain; return True when the server must end."""
        now_s = asyncio.get_running_loop().time()
        if counter % _TICKS_PER_CHECK == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check_timeouts(now_s)
        if self._gate.is_closed:
            self._watch_drain(now_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the ports, send pending responses, and end the application."""
        left_s = self.config.timeout_graceful_shutdown or 0
        timer = self._end_in(left_s + CLOSING_S)
        await super().shutdown(sockets)
        self.has_cut_off |= bool(self.server_state.connections or self.server_state.tasks)
        timer.cancel()
        # A model that is being loaded cannot be stopped, and Python would wait for its thread.
        self._end_in(CLOSING_S)

    def _watch_drain(self, now_s: float) -> None:
        if self._drained_by_s is None:
            self._drained_by_s = now_s + self._drain_s
            log.info("draining", extra={"pending": self._gate.pending})
        left_s = self._drained_by_s - now_s
        if self._gate.pending and left_s > 0:
            return
        if self._gate.pending:
            self.has_cut_off = True
            log.error("drain time is over", extra={"cut_off": self._gate.pending})
        self.config.timeout_graceful_shutdown = max(round(left_s), 0)
        self.should_exit = True

    def _end_in(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end_hard)
        timer.daemon = True
        if self._end is not None:
            timer.start()
        return timer

    def _end_hard(self) -> None:
        log.warning("abandoned a thread that did not end")
        if self._end is not None:
            self._end(int(self.has_cut_off))

    async def _open_metrics(self, config: uvicorn.Config) -> None:
        config.load()
        loop = asyncio.get_running_loop()
        protocol = make_connection_class(self._timeouts)

        def connect() -> asyncio.Protocol:
            return protocol(config, self.server_state, {}, loop)

        try:
            listening = await loop.create_server(connect, config.host, config.port)
        except OSError as error:
            log.error("cannot open the metrics port", extra={"reason": str(error)})
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        self.servers.append(listening)
        host, port = listening.sockets[0].getsockname()[:2]
        log.info("metrics", extra={"host": host, "port": port})


def _configure(app: ASGIApp, host: str, port: int, timeouts: ConnectionTimeouts) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=make_connection_class(timeouts),
        ws="none",
        log_config=None,  # the command line configures logging
        access_log=False,  # RequestLog replaces it
        server_header=False,
        proxy_headers=False,  # any client can set these headers
        timeout_keep_alive=timeouts.keep_alive_s,
    )
