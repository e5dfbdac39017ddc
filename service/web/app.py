"""The application: routes, error handlers, and the lifecycle of the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from types import ModuleType
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lacuna.distribution import VERSION
from lacuna.errors import ConfigurationError, LacunaError
from service.engine.lifecycle.watcher import watch_repository
from service.engine.process_memory import watch_memory
from service.web.fast_path import FastPath
from service.web.head_requests import HeadRequests
from service.web.openapi import document
from service.web.protocol_errors import (
    answer_error,
    answer_http_exception,
    answer_unexpected,
    render_error,
)
from service.web.proxies import ProxyLayer, read_prefix
from service.web.request_log import RequestLog
from service.web.routes import (
    docs,
    health,
    metrics,
    models,
    oip,
    oip_control,
    page,
    preview,
    progress,
    sagemaker,
    segment,
    tfserving,
    vertex,
)
from service.web.services import AppServices
from service.web.thread_pool import start_thread_pool
from service.web.trace_context import TraceContext, configure_telemetry

# Vertex AI's paths come first: they are settings, and may be among the others.
_ROUTES: tuple[ModuleType, ...] = (
    vertex,
    segment,
    progress,
    preview,
    models,
    health,
    oip,
    oip_control,
    tfserving,
    sagemaker,
    page,
)
_FAST = (vertex, segment, oip)


class _Application(FastAPI):
    """FastAPI application whose busiest routes bypass the framework.

    Attributes:
        fast_routes: routes on the fast path.
        services: objects that the routes work with.
    """

    fast_routes: tuple[APIRoute, ...] = ()
    services: AppServices

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = super().openapi() | {"components": document.make_components()}
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        """Build the middleware stack, with the fast path in front.

        Raises:
            ValueError: if there are dependencies or middleware that the fast path would skip.
        """
        ours: Any = _surround_framework
        strange = [layer for layer in self.user_middleware if layer.cls is not ours]
        if self.fast_routes and (strange or self.router.dependencies):
            raise ValueError(
                "an application with a fast path must have no dependencies, and no middleware but "
                f"its own; it has {[*strange, *self.router.dependencies]}"
            )
        return FastPath(
            self.fast_routes,
            partial(_surround, services=self.services),
            answer_error,
            super().build_middleware_stack(),
        )


class _ProxiedApplication(_Application):
    """Application that undoes what reverse proxies did to a request, before everything else.

    Attributes:
        proxy_layer: layer around the whole application.
    """

    proxy_layer: ProxyLayer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self.proxy_layer(scope, receive, send)


def make_app(services: AppServices) -> FastAPI:
    """Make the application.

    Models load in the background after the start. Until they are loaded, the port is open and
    `/readyz` returns 503. The model repository is watched until the application ends.

    Args:
        services: objects that the routes work with. The segmenter is closed when the application
            ends.

    Raises:
        ConfigurationError: if the prefix of paths begins with one of the application's paths.
    """
    tracing = services.telemetry.tracing

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(start_thread_pool())
        watching = [
            asyncio.create_task(watch_repository(services.repository)),
            asyncio.create_task(watch_memory(services.memory, lambda: services.gate.is_idle)),
        ]
        if services.key_files is not None:
            watching.append(asyncio.create_task(services.key_files.watch()))
        yield
        for task in watching:
            task.cancel()
        await services.repository.close()
        await asyncio.to_thread(services.exchange.pipeline.segmenter.close)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    proxies = services.proxies
    app = (_ProxiedApplication if proxies.is_needed else _Application)(
        title="lacuna",
        telemetry=configure_telemetry(tracing, services.quiet_paths),
        summary=document.SUMMARY,
        description=document.DESCRIPTION,
        version=VERSION,
        license_info=document.LICENSE,
        openapi_tags=document.TAGS,
        lifespan=live,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if services.operator_routes.docs else None,
        # A redirect would point to the host in the Host header, and clients do not follow it.
        redirect_slashes=False,
    )
    app.add_exception_handler(LacunaError, answer_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.services = services
    app.add_middleware(_surround_framework, services=services)
    routers = _make_routers(services)
    for router in routers.values():
        app.include_router(router)
    app.fast_routes = tuple(_list_posts(*[routers[module] for module in _FAST]))
    if isinstance(app, _ProxiedApplication):
        own = _list_segments(app, *routers.values())
        _check_root_path(proxies.root_path, own)
        app.proxy_layer = ProxyLayer(partial(FastAPI.__call__, app), proxies, own)
    return app


def make_metrics_app(services: AppServices) -> FastAPI:
    """Make an application that serves only the metrics, for a separate port.

    Args:
        services: objects of the application whose metrics are served.
    """
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_middleware(_surround_framework, services=services)
    app.include_router(metrics.make_router(services))
    return app


def _surround(app: ASGIApp, services: AppServices) -> ASGIApp:
    """Wrap an application in the layers that every request passes through."""
    logged = RequestLog(
        app,
        services.access_control,
        services.gate,
        render_error,
        answer_unexpected,
        services.quiet_paths,
        services.vertex_routes.health,
    )
    return logged if services.telemetry.tracing is None else TraceContext(logged)


def _surround_framework(app: ASGIApp, services: AppServices) -> ASGIApp:
    """Wrap the framework. On the fast path there are no HEAD requests."""
    return _surround(HeadRequests(app), services)


def _make_routers(services: AppServices) -> dict[ModuleType, APIRouter]:
    """Make the routes of the application, by their module, in the order of precedence."""
    routers = {module: module.make_router(services) for module in _ROUTES}
    if services.operator_routes.metrics:
        routers[metrics] = metrics.make_router(services)
    if services.operator_routes.docs:
        routers[docs] = docs.make_router()
    return routers


def _list_posts(*routers: APIRouter) -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and "POST" in (route.methods or ()):
                yield route


def _list_segments(*routers: FastAPI | APIRouter) -> set[str]:
    """Return the first segments of the paths of all routes."""
    paths = (getattr(route, "path", "") for router in routers for route in router.routes)
    return {path.split("/")[1] for path in paths if path.startswith("/")} - {""}


def _check_root_path(prefix: str, own: set[str]) -> None:
    try:
        read_prefix(prefix, own)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
