"""The application: routes, error handlers, and the lifecycle of the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from lacuna.distribution import VERSION
from lacuna.errors import LacunaError
from service.engine.lifecycle.watcher import watch_repository
from service.web.fast_path import FastPath
from service.web.head_requests import HeadRequests
from service.web.protocol_errors import (
    answer_error,
    answer_http_exception,
    answer_unexpected,
    render_error,
)
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
    segment,
    tfserving,
)
from service.web.services import AppServices
from service.web.trace_context import TraceContext, configure_telemetry


class _Application(FastAPI):
    """FastAPI application whose busiest routes bypass the framework.

    Attributes:
        fast_routes: routes on the fast path.
        services: objects that the routes work with.
    """

    fast_routes: tuple[APIRoute, ...] = ()
    services: AppServices

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


def make_app(services: AppServices) -> FastAPI:
    """Make the application.

    Models load in the background after the start. Until they are loaded, the port is open and
    `/readyz` returns 503. The model repository is watched until the application ends.

    Args:
        services: objects that the routes work with. The segmenter is closed when the application
            ends.
    """
    tracing = services.telemetry.tracing

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch_repository(services.repository))
        yield
        watching.cancel()
        await services.repository.close()
        await asyncio.to_thread(services.exchange.pipeline.segmenter.close)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = _Application(
        title="lacuna",
        telemetry=configure_telemetry(tracing),
        summary="Segmentation of images with missing pixels",
        version=VERSION,
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
    for routes in (segment, preview, models, health, oip, oip_control, tfserving, page):
        router = routes.make_router(services)
        app.include_router(router)
        if routes in (segment, oip):
            app.fast_routes += tuple(_list_posts(router))
    if services.operator_routes.metrics:
        app.include_router(metrics.make_router(services))
    if services.operator_routes.docs:
        app.include_router(docs.make_router())
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
        app, services.access_control, services.gate, render_error, answer_unexpected
    )
    return logged if services.telemetry.tracing is None else TraceContext(logged)


def _surround_framework(app: ASGIApp, services: AppServices) -> ASGIApp:
    """Wrap the framework. On the fast path there are no HEAD requests."""
    return _surround(HeadRequests(app), services)


def _list_posts(router: APIRouter) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute) and "POST" in (route.methods or ()):
            yield route
