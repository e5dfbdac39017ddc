"""The fast_routes routes, on a way of their own past the framework's.

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

from lacuna.errors import LacunaError
from service.web.trace_context import is_recorded

_ROUTE = "lacuna.fast_route"


class FastRoute(NamedTuple):
    """A route, and which of its path's parameters its handler takes."""

    route: APIRoute
    takes: tuple[str, ...]


class FastPath:
    """Calls the handlers of some routes directly.

    Args:
        routes: of FastAPI, whose handlers take a request and parameters of the path, and answer
            with a response.
        wrap: puts around the handlers what every request passes.
        answer_error: makes the response for an error that the service raised on purpose.
        others: answers whatever is none of these.

    Raises:
        ValueError: if a route has dependencies, or a handler that takes anything but the request
            and parameters of the path: they would be passed over.
    """

    def __init__(
        self,
        routes: Iterable[APIRoute],
        wrap: Callable[[ASGIApp], ASGIApp],
        answer_error: Callable[[Request, Exception], Awaitable[Response]],
        others: ASGIApp,
    ) -> None:
        self._fast_routes = [_make_fast(route) for route in routes]
        self._wrapped = wrap(self._answer)
        self._answer_error = answer_error
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_fast = scope["type"] == "http" and not is_recorded(scope) and self._find(scope)
        answer = self._wrapped if is_fast else self._others
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
    """Take a route whose handler may be called without the framework."""
    takes = tuple(inspect.signature(route.endpoint).parameters)[1:]
    strange = set(takes) - set(route.param_convertors)
    if route.dependencies or route.dependant.dependencies or strange:
        raise ValueError(
            "a route on the fast path must have no dependencies, and a handler that takes the "
            f"request and parameters of the path; {route.path} has others"
        )
    return FastRoute(route, takes)
