"""What goes to the server and what comes back, without a socket."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lacuna.client.sources import Image

Value = TypeVar("Value")


@dataclass(frozen=True)
class Call:
    """One HTTP request.

    Attributes:
        method: of HTTP.
        path: below the server's URL.
        headers: beside the usual ones.
        content: the body, if there is one.
        raises: whether a status of 400 and above is an error; if not, the reply is handed on.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    raises: bool = True


@dataclass(frozen=True)
class Reply:
    """One HTTP response.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        content: the body, not compressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, eq=False)
class Question:
    """An image to be segmented.

    Attributes:
        image: what to segment.
        mask: non-zero = valid; None if there is none.
        probabilities: whether they are wanted beside the labels.
        brief: labels alone are sent, and what they mean is asked for once, not with every answer:
            the cheapest way, where the model's classes do not change meanwhile.
        model: name; None for the only one.
        version: of the model; None for the one that is served.
        nodata: value of missing pixels in the image's own units; may be NaN.
        timeout_s: how long the server may take; None for as long as it takes.
    """

    image: Image
    mask: Image | None = None
    probabilities: bool = False
    brief: bool = False
    model: str | None = None
    version: str | int | None = None
    nodata: float | None = None
    timeout_s: float | None = None


Steps = Generator[Call, Reply, Value]
"""A conversation: yields each call, is sent its reply, and returns what came of it all."""
