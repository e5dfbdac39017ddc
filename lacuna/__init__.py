"""Segmentation of images with missing pixels: the client, and what it shares with the server.

    from lacuna import Client

    with Client("http://127.0.0.1:8000") as client:
        result = client.segment("scene.png", "mask.png")

The client is imported when it is first used: its HTTP library takes ten times as long to import as
all that the command line and the server need of this package at their start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lacuna.distribution import VERSION
from lacuna.errors import LacunaError, LacunaWarning, RequestError, UnavailableError

if TYPE_CHECKING:
    from lacuna.client import (
        Area,
        AsyncClient,
        ClassInfo,
        Client,
        FailedError,
        Image,
        Question,
        RejectedError,
        Result,
        RetryPolicy,
        TimedOutError,
        UnreachableError,
    )

__version__ = VERSION

__all__ = [
    "Area",
    "AsyncClient",
    "ClassInfo",
    "Client",
    "FailedError",
    "Image",
    "LacunaError",
    "LacunaWarning",
    "Question",
    "RejectedError",
    "RequestError",
    "Result",
    "RetryPolicy",
    "TimedOutError",
    "UnavailableError",
    "UnreachableError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("lacuna.client"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
