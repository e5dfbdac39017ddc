"""`grpc.health.v1.Health`: whether the server and its models serve.

The status is that of the moment at which it is asked for. The library's servicer keeps a table of
them, which somebody must keep up to date, and holds its lock while a watcher reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from lacuna.errors import OverloadedError, UnknownModelError
from service.interfaces.messages import encode
from service.listening.services import Services
from service.rpc.call import Call
from service.rpc.methods import Method, Service
from service.rpc.short_messages import read_message

MAX_WATCHERS = 256
"""Most calls of `Watch` at the same time. They need no key, and each takes some memory."""

_POLL_S = 0.25
"""Seconds between two looks at a status that is watched. A look takes microseconds."""

_REQUEST, _RESPONSE = "grpc.health.v1.HealthCheckRequest", "grpc.health.v1.HealthCheckResponse"


class _Answers(NamedTuple):
    serving: bytes
    not_serving: bytes
    unknown: bytes


def make_service(services: Services) -> Service:
    """Make the service.

    Args:
        services: objects that every listener works with.
    """
    answers = _Answers(
        *(
            encode(_RESPONSE, {"status": status})
            for status in ("SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
        )
    )
    watchers: set[Call] = set()

    def find(name: str) -> bytes:
        try:
            is_serving = _is_serving(services, name)
        except UnknownModelError:
            return answers.unknown
        return answers.serving if is_serving else answers.not_serving

    async def check(call: Call) -> bytes:
        name = (await read_message(call, _REQUEST)).service
        return answers.serving if _is_serving(services, name) else answers.not_serving

    async def watch(call: Call) -> None:
        name = (await read_message(call, _REQUEST)).service
        if len(watchers) >= MAX_WATCHERS:
            raise OverloadedError(
                f"at most {MAX_WATCHERS} calls may watch at the same time; as many do"
            )
        watchers.add(call)
        try:
            await _follow(call, services, lambda: find(name))
        finally:
            watchers.discard(call)

    return Service(
        "grpc.health.v1.Health",
        {
            "Check": Method(check, is_open=True, is_quiet=True),
            "Watch": Method(watch, is_stream=True, is_open=True, is_quiet=True),
        },
    )


def _is_serving(services: Services, name: str) -> bool:
    """Return whether a model serves, or the server if the name is empty.

    Raises:
        UnknownModelError: if there is no such model.
    """
    if not name:
        return services.is_ready
    return bool(services.repository.list_versions(name)) and not services.gate.is_closed


async def _follow(call: Call, services: Services, find: Callable[[], bytes]) -> None:
    """Write a status, and each that differs from the one before, until the server drains."""
    last = b""
    while True:
        is_draining = services.gate.is_closed
        status = find()
        if status != last:
            await call.context.write(status)
            last = status
        if is_draining:
            return
        await asyncio.sleep(_POLL_S)
