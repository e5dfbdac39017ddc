"""A client of the server. Needs neither TensorFlow nor FastAPI.

with Client("http://127.0.0.1:8000") as client:
    result = client.segment("scene.png", "mask.png")
    result.labels  # uint8 (H, W); 255 = invalid

What is asked and how answers are read is decided without a socket: `protocols` are generators that
yield calls and are sent replies, `retries` says whether to try again. `blocking` and `waiting` only
carry them out, with threads or with asyncio.
"""

from __future__ import annotations

from lacuna.client._async.client import AsyncClient
from lacuna.client._sync.client import Client
from lacuna.client.calls import Question
from lacuna.client.failures import FailedError, RejectedError, TimedOutError, UnreachableError
from lacuna.client.result import Area, ClassInfo, Result
from lacuna.client.retries import RetryPolicy
from lacuna.client.sources import Image

__all__ = [
    "Area",
    "AsyncClient",
    "ClassInfo",
    "Client",
    "FailedError",
    "Image",
    "Question",
    "RejectedError",
    "Result",
    "RetryPolicy",
    "TimedOutError",
    "UnreachableError",
]
