"""Connection to a Ray cluster, with errors that come soon and say what is wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from lacuna.distribution import describe_extra
from lacuna.errors import LacunaError, MissingExtraError
from lacuna.native_stderr import mute_native_stderr
from service.cluster.pool import ClusterError

if TYPE_CHECKING:
    from service.cluster.nodes import Cluster

_CONNECT_S = 5.0
"""Seconds for the port of the cluster to open."""

_JOIN_S = 30.0
"""Seconds for the cluster to answer. Ray itself waits for minutes."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray says about its nodes is in its log files. It must not come between lines of ours.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    "RAY_SCHEDULER_EVENTS": "0",
}


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[Cluster]:
    """Connect to a cluster that this machine is a node of.

    A program that is connected already stays so, whatever the address.

    Args:
        address: `host:port` of the cluster's head, or `auto` for the cluster of this machine.

    Raises:
        ClusterError: if the address has another form, the cluster does not answer, this machine is
            no node of it, or no node has a CPU.
        MissingExtraError: if Ray is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        from service.cluster.nodes import Cluster  # noqa: PLC0415 (an extra, and a second)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise MissingExtraError(
            f"a cluster needs the extra `ray`: {describe_extra('ray')}"
        ) from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    is_ours = not Cluster.is_joined()
    if is_ours:
        await _check_address(address)
        await _join(address, partial(Cluster.join, address))
    try:
        cluster = Cluster.measure()
        if cluster.cpus < 1:
            raise ClusterError("a cluster must have a CPU for work; its nodes have none")
        yield cluster
    finally:
        if is_ours:
            Cluster.leave()


async def _check_address(address: str) -> None:
    """Check that a port is open there."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) not in range(1, 1 << 16):
        raise ClusterError(
            "the address of a cluster must be auto, or host:port as `ray start` prints it; it is "
            f"{address}"
        )
    try:
        connecting = asyncio.open_connection(host.strip("[]"), int(port))
        _, writer = await asyncio.wait_for(connecting, _CONNECT_S)
    except OSError as error:
        reason = "it does not" if isinstance(error, TimeoutError) else _describe(error)
        raise ClusterError(f"a Ray cluster must answer at {address}; {reason}") from None
    writer.close()


def _describe(error: OSError) -> str:
    """Return the system's words for an error, without what asyncio adds to them."""
    known = error.errno is not None and error.errno > 0
    return os.strerror(error.errno or 0).lower() if known else error.strerror or str(error)


async def _join(address: str, join: Callable[[], None]) -> None:
    """Join a cluster on a thread, which cannot be stopped if nobody answers."""
    loop = asyncio.get_running_loop()
    joined: asyncio.Future[LacunaError | None] = loop.create_future()

    def settle(error: LacunaError | None) -> None:
        if not joined.done():
            joined.set_result(error)

    def run() -> None:
        try:
            join()
        except LacunaError as error:
            loop.call_soon_threadsafe(settle, error)
        else:
            loop.call_soon_threadsafe(settle, None)

    threading.Thread(target=run, name="join-cluster", daemon=True).start()
    try:
        with mute_native_stderr():
            error = await asyncio.wait_for(joined, _JOIN_S)
    except TimeoutError:
        error = ClusterError(
            f"a Ray cluster must answer at {address}; nothing came in {_JOIN_S:g} s"
        )
    if error is not None:
        raise error
