"""The application: routes, errors and the models' life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from service.errors import LacunaError
from service.web.parts import Parts
from service.web.problems import (
    INTERNAL_ERROR,
    answer_error,
    answer_http_exception,
    make_problem,
)
from service.web.request_log import RequestLog
from service.web.routes import health, models, segment


def make_app(parts: Parts) -> FastAPI:
    """Make the application.

    Models load in the background once it has started: until they are there, the port is open and
    `/readyz` says 503.

    Args:
        parts: what it is made of. The segmenter is closed when the application ends.
    """

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(parts.repository.load_all())
        yield
        loading.cancel()
        await asyncio.to_thread(parts.pipeline.segmenter.close)

    app = FastAPI(
        title="lacuna",
        summary="Segmentation of images with missing pixels",
        version=version("lacuna"),
        lifespan=live,
    )
    app.add_exception_handler(LacunaError, answer_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_middleware(
        RequestLog,
        answer_unexpected=make_problem(
            500, INTERNAL_ERROR, "unexpected error; the log knows more under this request's id"
        ),
    )
    for routes in (segment, models, health):
        app.include_router(routes.make_router(parts))
    return app
