"""The busiest routes, on a way of their own past the framework's.

FastAPI finds a route among all, gathers what it depends on and wraps it in layers that these do
not need: for a small image that took a third of all the time on the event loop. They are registered
with FastAPI all the same, for its OpenAPI document; here their handlers are called directly, inside
the same request log. Everything else goes the usual way, and so does a request whose span is
recorded, because FastAPI names the span after the route that it finds.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import LacunaError
from service.web.trace_context import is_recorded

_STOP = "lacuna.stop"


class _Stop(NamedTuple):
    """A route, and which of its path's parameters its handler takes."""

    route: APIRoute
    takes: tuple[str, ...]


class Express:
    """Calls the handlers of some routes directly.

    Args:
        routes: of FastAPI, whose handlers take a request and parameters of the path, and answer
            with a response.
        wrap: puts around the handlers what every request passes.
        answer_error: makes the response for an error that the service raised on purpose.
        others: answers whatever is none of these.
    """

    def __init__(
        self,
        routes: Iterable[APIRoute],
        wrap: Callable[[ASGIApp], ASGIApp],
        answer_error: Callable[[Request, Exception], Awaitable[Response]],
        others: ASGIApp,
    ) -> None:
        self._stops = [
            _Stop(route, tuple(inspect.signature(route.endpoint).parameters)[1:])
            for route in routes
        ]
        self._wrapped = wrap(self._answer)
        self._answer_error = answer_error
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        express = scope["type"] == "http" and not is_recorded(scope) and self._find(scope)
        stops = self._wrapped if express else self._others
        await stops(scope, receive, send)

    def _find(self, scope: Scope) -> bool:
        for stop in self._stops:
            match = stop.route.path_regex.match(scope["path"])
            if match and scope["method"] in (stop.route.methods or ()):
                scope[_STOP] = stop
                scope["path_params"] = match.groupdict()
                return True
        return False

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        stop: _Stop = scope[_STOP]
        parameters = {name: scope["path_params"][name] for name in stop.takes}
        try:
            response = await stop.route.endpoint(request, **parameters)
        except LacunaError as error:
            response = await self._answer_error(request, error)
        await response(scope, receive, send)
