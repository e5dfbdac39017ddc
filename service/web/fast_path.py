"""Fast path for the busiest routes, which bypasses the framework.

FastAPI searches all routes, resolves dependencies and runs layers that these routes do not need.
For a small image that took a third of all the time on the event loop. The routes remain registered
with FastAPI, for its OpenAPI document. Here their handlers are called directly, inside the same
request log. All other requests go through FastAPI. So do requests with a recorded span, because
FastAPI names the span after the route that it finds.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lacuna.errors import LacunaError
from service.web.trace_context import is_recorded

_ROUTE = "lacuna.fast_route"


class FastRoute(NamedTuple):
    """Route on the fast path.

    Attributes:
        route: route of FastAPI.
        takes: names of the path parameters that its handler takes.
    """

    route: APIRoute
    takes: tuple[str, ...]


class FastPath:
    """ASGI application that calls the handlers of some routes directly.

    Args:
        routes: routes of FastAPI. Their handlers take a request and path parameters, and return a
            response.
        wrap: function that wraps an application in the layers that every request passes through.
        answer_error: function that makes the response for a `LacunaError`.
        fallback: application for all other requests.

    Raises:
        ValueError: if a route has dependencies, or its handler takes anything but the request and
            path parameters. The fast path would ignore them.
    """

    def __init__(
        self,
        routes: Iterable[APIRoute],
        wrap: Callable[[ASGIApp], ASGIApp],
        answer_error: Callable[[Request, Exception], Awaitable[Response]],
        fallback: ASGIApp,
    ) -> None:
        self._fast_routes = [_make_fast(route) for route in routes]
        self._wrapped = wrap(self._answer)
        self._answer_error = answer_error
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_fast = scope["type"] == "http" and not is_recorded(scope) and self._find(scope)
        answer = self._wrapped if is_fast else self._fallback
        await answer(scope, receive, send)

    def _find(self, scope: Scope) -> bool:
        for fast in self._fast_routes:
            match = fast.route.path_regex.match(scope["path"])
            if match and scope["method"] in (fast.route.methods or ()):
                scope[_ROUTE] = fast
                scope["path_params"] = match.groupdict()
                return True
        return False

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        fast: FastRoute = scope[_ROUTE]
        parameters = {name: scope["path_params"][name] for name in fast.takes}
        try:
            response = await fast.route.endpoint(request, **parameters)
        except LacunaError as error:
            response = await self._answer_error(request, error)
        await response(scope, receive, send)


def _make_fast(route: APIRoute) -> FastRoute:
    """Check that a route's handler can be called without the framework."""
    takes = tuple(inspect.signature(route.endpoint).parameters)[1:]
    strange = set(takes) - set(route.param_convertors)
    if route.dependencies or route.dependant.dependencies or strange:
        raise ValueError(
            "a route on the fast path must have no dependencies, and its handler may take only the "
            f"request and path parameters; {route.path} has others"
        )
    return FastRoute(route, takes)
