"""A client that asks as fast as it is told, and tells what became of each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lacuna.raster.npy import write_npy
from tests.support.sockets import make_head

IMAGE = write_npy(np.full((32, 32), 200, np.uint8))

NO_CONNECTION = 0
"""Nobody listened."""

LOST = -1
"""The connection ended before an answer did."""


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        status: of HTTP, or one of the above.
        admitted: whether the server had asked for the body.
        ended_s: when, on the monotonic clock.
        headers: of the answer.
    """

    status: int
    admitted: bool
    ended_s: float
    headers: dict[str, str]


async def ask(
    address: str, body: bytes = IMAGE, *, expect: bool = False, **headers: str
) -> Outcome:
    """Send one request on a connection of its own.

    Args:
        address: host and port.
        body: to be segmented.
        **headers: of the request, with _ for each dash.
        expect: wait for the server's word before the body is sent.
    """
    host, port = address.split(":")
    admitted = False
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return Outcome(NO_CONNECTION, admitted, time.monotonic(), {})
    wish = {"Expect": "100-continue"} if expect else {}
    head = make_head(Content_Length=len(body), Connection="close", **wish, **headers)
    try:
        writer.write(head if expect else head + body)
        status, headers = await _read_head(reader)
        if status == 100:
            admitted = True
            writer.write(body)
            status, headers = await _read_head(reader)
        await reader.readexactly(int(headers["content-length"]))
        return Outcome(status, admitted, time.monotonic(), headers)
    except (OSError, asyncio.IncompleteReadError):
        return Outcome(LOST, admitted, time.monotonic(), {})
    finally:
        writer.close()


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers


async def ask_in_turn(address: str, clients: int, seconds: float) -> list[Outcome]:
    """Let so many clients ask for a while, each again as soon as it is answered."""
    end_s = time.monotonic() + seconds

    async def repeat() -> list[Outcome]:
        outcomes = []
        while time.monotonic() < end_s:
            outcomes.append(await ask(address))
        return outcomes

    return _join(await asyncio.gather(*(repeat() for _ in range(clients))))


async def ask_at_rate(address: str, per_s: float, seconds: float) -> list[Outcome]:
    """Ask so often a second, whether the answers come or not."""
    loop, count = asyncio.get_running_loop(), int(per_s * seconds)
    began_s, asked, all_asked = loop.time(), [], asyncio.Event()

    def start() -> None:
        asked.append(asyncio.create_task(ask(address)))
        if len(asked) == count:
            all_asked.set()

    for index in range(count):
        loop.call_at(began_s + index / per_s, start)
    await all_asked.wait()
    return list(await asyncio.gather(*asked))


def _join(lists: Sequence[list[Outcome]]) -> list[Outcome]:
    return [outcome for outcomes in lists for outcome in outcomes]


def measure_goodput(outcomes: Sequence[Outcome], begin_s: float, end_s: float) -> float:
    """Count the answers a second in a span of time."""
    good = [o for o in outcomes if o.status == 200 and begin_s <= o.ended_s < end_s]
    return len(good) / (end_s - begin_s)
