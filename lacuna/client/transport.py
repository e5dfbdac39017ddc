"""What the two clients share: requests, replies, and the bar that shows how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from itertools import repeat
from typing import TypedDict

import httpx2

from lacuna.client.calls import Call, Reply
from lacuna.client.sources import Image

KEEP_S = 3.0
"""An idle connection is given up before a server does so, many after 5 s: a request that meets the
closing has to be sent again."""


class Target(TypedDict, total=False):
    """What a request says beside the image.

    Attributes:
        model: name; may be left out where there is one.
        version: of the model; the one that is served, if left out.
        nodata: value of missing pixels in the image's own units; may be NaN.
        timeout_s: how long the server may take.
    """

    model: str | None
    version: str | int | None
    nodata: float | None
    timeout_s: float | None


def build_headers(api_key: str | None) -> dict[str, str]:
    """Give the headers of all requests."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def build_request(http: httpx2.Client | httpx2.AsyncClient, call: Call) -> httpx2.Request:
    """Make a call a request of a client."""
    return http.build_request(
        call.method,
        call.path,
        headers=dict(call.headers),
        content=call.content,
    )


def make_reply(response: httpx2.Response) -> Reply:
    """Make a response, read to its end, a reply."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


def pair(
    images: Iterable[Image], masks: Iterable[Image | None] | None
) -> Iterator[tuple[Image, Image | None]]:
    """Give each image with its mask.

    Raises:
        ValueError: if there are not as many masks as images.
    """
    if masks is None:
        return zip(images, repeat(None), strict=False)
    return zip(images, masks, strict=True)


@contextmanager
def show_progress(images: object, *, enabled: bool) -> Iterator[Callable[[], None]]:
    """Draw a progress bar on the standard error for as long as the context lasts.

    Args:
        images: whose number is the bar's length, if they have one.
        enabled: whether to draw it.

    Yields:
        To be called for each image that is done, from any thread.
    """
    if not enabled:
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 (not needed otherwise)
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("segmenting", total=len(images) if isinstance(images, Sized) else None)
        yield lambda: bar.advance(task)
