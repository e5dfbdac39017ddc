"""Parts of the document beside its operations."""

from __future__ import annotations

from functools import cache
from typing import Any

from service.web.openapi import (
    errors,
    health,
    inference,
    models,
    oip_health,
    oip_metadata,
    oip_repository,
    oip_statistics,
    platforms,
    prediction,
    progress,
    results,
    segmentation,
    signatures,
)
from service.web.openapi.operations import HEADERS, KEY_SCHEMES
from service.web.openapi.schemas import make_schemas

_MODULES = (
    errors,
    health,
    inference,
    models,
    oip_health,
    oip_metadata,
    oip_repository,
    oip_statistics,
    platforms,
    prediction,
    progress,
    results,
    segmentation,
    signatures,
)

SUMMARY = "Segmentation of images with missing pixels"
"""Summary of the interface."""

DESCRIPTION = """\
An image and a mask of its valid pixels are sent, and labels come back. No answer depends on
padding, on other images, or on the values of missing pixels.

- **Keys**: a server that has keys takes them in `Authorization: Bearer` or `X-API-Key`.
- **Errors** are problem details (RFC 9457) with a stable `code`. Under `/v2` and
  `/v1/models/{name}` they are `{"error": "…"}`, as clients of these protocols expect.
- **Compression**: a body may have the `Content-Encoding` gzip or deflate. Answers are compressed as
  `Accept-Encoding` allows.
- **Ids**: the header `X-Request-ID` of a request is returned, and is in the log.
"""
"""Description of the interface, in Markdown."""

LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
"""Licence of the interface."""

TAGS: list[dict[str, Any]] = [
    {"name": "Segmentation", "description": "One image at a time, in files or JSON."},
    {"name": "Models", "description": "Models, their classes, contracts and limits."},
    {"name": "Operation", "description": "Health checks and metrics."},
    {
        "name": "Open Inference Protocol",
        "description": "Version 2 over HTTP, as clients of Triton and KServe speak it.",
    },
    {"name": "TensorFlow Serving", "description": "Its REST API."},
    {"name": "SageMaker", "description": "Routes that Amazon SageMaker calls."},
    {
        "name": "Vertex AI",
        "description": "Routes that Vertex AI calls, at paths that it chooses.",
    },
]
"""Groups of operations."""


@cache
def make_components() -> dict[str, Any]:
    """Return the components that operations refer to."""
    return {
        "schemas": make_schemas(kind for module in _MODULES for kind in module.SCHEMAS),
        "headers": dict(HEADERS),
        "securitySchemes": dict(KEY_SCHEMES),
    }
