"""Server of gRPC, in the event loop of the server for HTTP.

1. Messages are passed on as bytes, and read only after a call's key was checked and it was
   admitted. So every method takes a stream of messages, though most have one; both look alike on
   the wire.
2. While the server drains, calls are refused, as everything else is, and open streams end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc

from lacuna.errors import ConfigurationError
from service.listening.forwarding import TrustedProxies
from service.listening.services import Services
from service.listening.sockets import open_listeners
from service.rpc import health, oip, reflection, tfserving
from service.rpc.answering import answer_call
from service.rpc.call import Call
from service.rpc.drain import Drain
from service.rpc.methods import MakeService, Method, Service

log = logging.getLogger(__name__)

# gRPC's own records quote metadata that it cannot read, and so keys. Each call has a line of ours.
logging.getLogger("grpc").setLevel(logging.CRITICAL)

SERVICES: tuple[MakeService, ...] = (
    oip.make_service,
    tfserving.make_prediction_service,
    tfserving.make_model_service,
    health.make_service,
)
"""Services that are served."""

SETTING = "LACUNA_GRPC_PORT or --grpc-port"

DEFAULT_PORT = 8001
"""Port of Triton, which clients of its protocol know."""

METADATA_BYTES = 64 * 1024
"""Most bytes of a call's metadata, as of a request's head over HTTP."""

CALLS_PER_CONNECTION = 1024
"""Most calls at a time on a connection; further ones wait with the client."""

KEEPALIVE_S = 60
KEEPALIVE_TIMEOUT_S = 20
"""Seconds without data after which a client is asked whether it is there, and to its answer. A dead
one would keep its calls."""

PING_INTERVAL_S = 10
"""Shortest interval in seconds at which clients may ask the same. By gRPC's default of 5 minutes,
those that are set to do so more often are thrown out."""

CONNECTION_IDLE_S, HANDSHAKE_S = 75, 20
"""Seconds after which a connection without calls is closed, and one that has not begun HTTP/2."""

ARRIVED_CALLS = 32 * CALLS_PER_CONNECTION
"""Most calls that have arrived and not begun. Admission refuses those that are too many, and says
so."""

CONNECTION_AGE_S = 300
"""Seconds after which a client is asked to connect again. Its calls go on, and it finds
servers that were added meanwhile."""

CONNECTION_GRACE_S = 3600
"""Seconds from then on after which calls that have not ended are cut off. An answer that the client
does not take holds memory so long, because gRPC's Python has no other way to end such a call."""


class RpcServer:
    """Server of gRPC.

    Args:
        services: objects that every listener works with.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        is_wanted: True if the port must open; False to do without gRPC if it cannot.
        reflects: True to describe the interfaces to clients that ask for them.
        trusted: addresses and networks of the proxies that are trusted to forward addresses of
            clients.

    Attributes:
        ports: ports that are open, one for each address of the host.
    """

    def __init__(
        self,
        services: Services,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        is_wanted: bool = True,
        reflects: bool = True,
        trusted: Sequence[str] = (),
    ) -> None:
        self._services = services
        self._is_wanted = is_wanted
        self._reflects = reflects
        self._drain = Drain()
        self._proxies = TrustedProxies(trusted)
        self._host = host
        self._port = port
        self._held: list[socket.socket] = []
        self._server: grpc.aio.Server | None = None
        self._calls: set[grpc.aio.ServicerContext] = set()
        self.ports: list[int] = []

    def open(self) -> None:
        """Check that the port can be opened, and hold it until `start`.

        Raises:
            ConfigurationError: if it cannot be opened.
        """
        try:
            self._held = open_listeners(self._host, self._port, SETTING)
        except ConfigurationError as error:
            if self._is_wanted:
                raise
            log.warning("no gRPC", extra={"reason": error.message})

    async def start(self) -> None:
        """Begin to accept calls, on the running event loop, after `open`.

        Raises:
            ConfigurationError: if the port was taken in the meantime.
        """
        if not self._held:
            return
        server = grpc.aio.server(options=list_options(self._services.body_limits.body_bytes))
        served = _make_services(self._services, self._reflects)
        handlers = _Handlers(self._services, served, self._begin_call)
        server.add_generic_rpc_handlers((handlers,))
        for listener in self._held:
            # gRPC opens its ports itself.
            host, port = listener.getsockname()[:2]
            listener.close()
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            try:
                self.ports.append(server.add_insecure_port(address))
            except RuntimeError as error:
                raise ConfigurationError(
                    f"the port must be free; {address} is not: choose another with {SETTING}"
                ) from error
            log.info("gRPC on %s", address)
        await server.start()
        self._server = server

    def drain(self) -> None:
        """End the streams, because the server drains."""
        self._drain.begin()

    async def stop(self, grace_s: float) -> bool:
        """Close the port, and end when the calls have ended.

        Args:
            grace_s: seconds after which calls are cut off.

        Returns:
            True if one was cut off.
        """
        self.drain()
        if self._server is None:
            return False
        stopping = asyncio.get_running_loop().create_task(self._server.stop(grace_s))
        await asyncio.wait([stopping], timeout=grace_s)
        cut_off = len(self._calls)
        if cut_off:
            log.error("calls are cut off", extra={"cut_off": cut_off})
        await stopping
        return bool(cut_off)

    def _begin_call(self, path: str, context: grpc.aio.ServicerContext) -> Call:
        """Make a call, and count it until it has ended."""
        self._calls.add(context)
        context.add_done_callback(self._calls.discard)
        return Call(path, context, self._services.body_limits, self._drain, self._proxies)


def _make_services(services: Services, reflects: bool) -> list[Service]:
    served = [make(services) for make in SERVICES]
    if reflects:
        served += reflection.make_services([service.name for service in served])
    return served


# gRPC has no types.
class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Handlers of all methods, by their paths."""

    def __init__(
        self,
        services: Services,
        served: Sequence[Service],
        begin_call: Callable[[str, grpc.aio.ServicerContext], Call],
    ) -> None:
        self._found = {
            path: _make_handler(services, method, partial(begin_call, path))
            for service in served
            for path, method in service.list_paths()
        }

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call; None if there is no such method."""
        return self._found.get(handler_call_details.method)


def _make_handler(
    services: Services, method: Method, begin_call: Callable[[grpc.aio.ServicerContext], Call]
) -> Any:
    async def answer(_: object, context: grpc.aio.ServicerContext) -> bytes | None:
        return await answer_call(services, method, begin_call(context))

    if method.is_stream:
        return grpc.stream_stream_rpc_method_handler(answer)
    return grpc.stream_unary_rpc_method_handler(answer)


def list_options(body_bytes: int) -> list[tuple[str, int]]:
    """List gRPC's options for a server.

    Args:
        body_bytes: most bytes of a message, before and after decompression.
    """
    options: Mapping[str, int] = {
        "grpc.max_receive_message_length": body_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.max_concurrent_streams": CALLS_PER_CONNECTION,
        "grpc.max_metadata_size": METADATA_BYTES,
        "grpc.absolute_max_metadata_size": METADATA_BYTES,
        "grpc.keepalive_time_ms": KEEPALIVE_S * 1000,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_S * 1000,
        "grpc.http2.min_ping_interval_without_data_ms": PING_INTERVAL_S * 1000,
        "grpc.max_connection_age_ms": CONNECTION_AGE_S * 1000,
        "grpc.max_connection_age_grace_ms": CONNECTION_GRACE_S * 1000,
        "grpc.max_connection_idle_ms": CONNECTION_IDLE_S * 1000,
        "grpc.server_handshake_timeout_ms": HANDSHAKE_S * 1000,
        # Beyond these gRPC cancels calls that come faster than they are begun, without a reason.
        "grpc.server.max_pending_requests": ARRIVED_CALLS,
        "grpc.server.max_pending_requests_hard_limit": ARRIVED_CALLS,
        # Otherwise a second server would share the port, and get half of the calls.
        "grpc.so_reuseport": 0,
    }
    return list(options.items())
