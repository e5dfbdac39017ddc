"""Segmentation of images with missing pixels: the client, and what it shares with the server.

    from lacuna import Client

    with Client("http://127.0.0.1:8000") as client:
        result = client.segment("scene.png", "mask.png")

    from lacuna import segment_scene

    segment_scene("scene.tif", "labels.tif", nodata=0)

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
        AreaTable,
        AsyncClient,
        ClassInfo,
        Client,
        FailedError,
        Image,
        ModelInfo,
        Question,
        RejectedError,
        Result,
        RetryPolicy,
        TimedOutError,
        UnreachableError,
    )
    from lacuna.scenes.api import SceneProgress, SceneResult, segment_scene

__version__ = VERSION

__all__ = [
    "Area",
    "AreaTable",
    "AsyncClient",
    "ClassInfo",
    "Client",
    "FailedError",
    "Image",
    "LacunaError",
    "LacunaWarning",
    "ModelInfo",
    "Question",
    "RejectedError",
    "RequestError",
    "Result",
    "RetryPolicy",
    "SceneProgress",
    "SceneResult",
    "TimedOutError",
    "UnavailableError",
    "UnreachableError",
    "__version__",
    "segment_scene",
]

_SCENES = frozenset({"SceneProgress", "SceneResult", "segment_scene"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "lacuna.scenes.api" if name in _SCENES else "lacuna.client"
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
