"""Protocols in which the client can send an image.

Each is a generator that yields calls, receives their replies, and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from lacuna.client.calls import Question, Steps
from lacuna.client.catalog import Catalog
from lacuna.client.protocols import native, oip, tfserving
from lacuna.client.result import Result

Protocol = Literal["native", "oip", "tfserving"]

PROTOCOLS: Mapping[Protocol, Callable[[Question, Catalog], Steps[Result]]] = MappingProxyType(
    {"native": native.segment, "oip": oip.segment, "tfserving": tfserving.segment}
)
"""Function of each protocol that requests a segmentation."""
