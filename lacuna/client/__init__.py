"""Client of the server, blocking or for asyncio.

1. `protocols` decide without a socket: they are generators that yield calls, receive replies, and
   return a result. `retries` decides whether and when to try again.
2. `_async.client` carries the calls out. `_sync.client` is generated from it (`make unasync`).
3. `tasks` and `threads` hold what differs between the two: waiting and concurrency.
"""

from __future__ import annotations

from lacuna.client._async.client import AsyncClient
from lacuna.client._sync.client import Client
from lacuna.client.calls import Question
from lacuna.client.failures import FailedError, RejectedError, TimedOutError, UnreachableError
from lacuna.client.models import ModelInfo
from lacuna.client.result import Area, AreaTable, ClassInfo, Result
from lacuna.client.retries import RetryPolicy
from lacuna.client.sources import Image

__all__ = [
    "Area",
    "AreaTable",
    "AsyncClient",
    "ClassInfo",
    "Client",
    "FailedError",
    "Image",
    "ModelInfo",
    "Question",
    "RejectedError",
    "Result",
    "RetryPolicy",
    "TimedOutError",
    "UnreachableError",
]
