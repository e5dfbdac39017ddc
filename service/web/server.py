"""The server around the application: ports, signals and graceful shutdown.

1. The first SIGTERM or SIGINT closes the gate. `/readyz` returns 503, new work is refused with 503
   and `Retry-After`, and every response closes its connection. Admitted requests continue.
2. The port stays open meanwhile. Uvicorn would close it at once. Clients that connect before the
   orchestrator has removed the server would then get no answer, instead of one that says "retry".
3. When the last admitted request is answered, or `drain_s` is over, the port is closed and pending
   responses are sent. Then the process ends with status 0, or with 1 if a request was cut off.
4. A second signal ends the process at once. So does the first one while a model is loading and no
   request is pending.
5. SIGHUP reads the files of keys anew. It ends the server, like SIGTERM, if the terminal that the
   server was started on is gone: closing a window sends it, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from service.engine.admission_gate import AdmissionGate
from service.listening.listener import Listener
from service.listening.sockets import open_listeners
from service.signals import handle_signal
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
        reload: function that reads the files of keys anew; None for none.
        is_loading: function that returns True while a thread that cannot be stopped loads a model.
        is_ready: function that returns True once every model serves.
        other: listener for another protocol, in the same event loop; None for none.

    Attributes:
        has_cut_off: True if an admitted request was not answered, or not in full.
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
        reload: Callable[[], Coroutine[None, None, None]] | None = None,
        is_loading: Callable[[], bool] = lambda: False,
        is_ready: Callable[[], bool] = lambda: False,
        other: Listener | None = None,
    ) -> None:
        self._timeouts = timeouts or ConnectionTimeouts()
        super().__init__(_configure(app, host, port, self._timeouts))
        self._metrics = metrics_app and _configure(metrics_app, host, metrics_port, self._timeouts)
        self._metrics_sockets: list[socket.socket] = []
        self._gate = gate
        self._drain_s = drain_s
        self._drained_by_s: float | None = None
        self._end = end
        self._reload = reload
        self._must_reload = False
        self._reloading: asyncio.Task[None] | None = None
        self._is_loading = is_loading
        self._is_ready = is_ready
        self._page: str | None = None
        self._other = other
        self._had_terminal = _has_terminal()
        self.has_cut_off = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the ports, and serve until a signal.

        Raises:
            ConfigurationError: if a port cannot be opened.
        """
        opened = sockets or _open_listeners(self.config, "LACUNA_PORT or --port")
        if self._metrics is not None:
            name = "LACUNA_METRICS_PORT or --metrics-port"
            self._metrics_sockets = _open_listeners(self._metrics, name)
        if self._other is not None:
            self._other.open()
        super().run(opened)

    def drain(self) -> None:
        """Admit no more requests, and end when all admitted ones are answered."""
        self._gate.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; end the process at the second."""
        del frame
        if self._gate.is_closed and self._end is not None:
            self._end(128 + sig)
        self.drain()

    def handle_hangup(self, sig: int, frame: FrameType | None) -> None:
        """Read the files of keys anew, or begin to drain if the terminal is gone."""
        if self._had_terminal and not _has_terminal():
            self.handle_exit(sig, frame)
        else:
            self._must_reload = True

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle SIGTERM, SIGINT and SIGHUP meanwhile, if this is the main thread."""
        with super().capture_signals(), handle_signal("SIGHUP", self.handle_hangup):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        for listener in sockets or ():
            _log_address("listening on %s (Ctrl-C ends the server)", listener)
            self._page = self._page or _find_page(listener)
        if self._metrics is not None and self.started:
            await self._start_metrics(self._metrics)
        if self._other is not None and self.started:
            await self._other.start()

    async def on_tick(self, counter: int) -> bool:
        """Check the connections and the drain; return True when the server must end."""
        now_s = asyncio.get_running_loop().time()
        if counter % _TICKS_PER_CHECK == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check_timeouts(now_s)
        if self._gate.is_closed:
            self._watch_drain(now_s)
        self._reload_if_asked()
        self._tell_once_ready()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the ports, send pending responses, and end the application."""
        left_s = self.config.timeout_graceful_shutdown or 0
        is_loading = self._is_loading()
        timer = self._end_in(left_s + CLOSING_S)
        if self._other is not None:
            self.has_cut_off |= await self._other.stop(left_s)
        await super().shutdown(sockets)
        self.has_cut_off |= bool(self.server_state.connections or self.server_state.tasks)
        timer.cancel()
        if is_loading and self._end is not None:
            # The thread cannot be stopped, and Python would wait for it.
            logging.shutdown()
            self._end(int(self.has_cut_off))
        self._end_in(CLOSING_S)

    def _reload_if_asked(self) -> None:
        is_busy = self._reloading is not None and not self._reloading.done()
        if self._must_reload and self._reload is not None and not is_busy:
            self._must_reload = False
            self._reloading = asyncio.create_task(self._reload())

    def _tell_once_ready(self) -> None:
        if self._page is not None and self._is_ready():
            log.info("Ready: open %s", self._page)
            self._page = None

    def _watch_drain(self, now_s: float) -> None:
        if self._drained_by_s is None:
            self._drained_by_s = now_s + self._drain_s
            if self._other is not None:
                self._other.drain()
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

    async def _start_metrics(self, config: uvicorn.Config) -> None:
        config.load()
        loop = asyncio.get_running_loop()
        protocol = make_connection_class(self._timeouts)

        def connect() -> asyncio.Protocol:
            return protocol(config, self.server_state, {}, loop)

        for listener in self._metrics_sockets:
            self.servers.append(await loop.create_server(connect, sock=listener))
            _log_address("metrics on %s/metrics", listener)


def _open_listeners(config: uvicorn.Config, setting: str) -> list[socket.socket]:
    return open_listeners(config.host, config.port, setting)


def _log_address(message: str, listener: socket.socket) -> None:
    log.info(message, _write_address(*listener.getsockname()[:2]))


def _write_address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _find_page(listener: socket.socket) -> str:
    """Return the address of the page for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    return _write_address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104


def _has_terminal() -> bool:
    """Return True if the standard error is a terminal that is still there."""
    return os.isatty(2)


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
