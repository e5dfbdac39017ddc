"""HTTP messages of the two clients: requests, and replies."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sized
from itertools import repeat
from typing import Any, TypedDict

import httpx2

from lacuna.client.calls import Bands, HttpCall, HttpReply, Stretch
from lacuna.client.sources import Image
from lacuna.raster.bands import Alpha
from lacuna.raster.nodata import NoData

KEEPALIVE_S = 3.0
"""Seconds after which an idle connection is closed. Many servers close theirs after 5 s; a request
that is sent at that moment has to be sent again."""


class Target(TypedDict, total=False):
    """Parameters of a request beside the image.

    Attributes:
        model: name; may be left out if the server has only one, or a default.
        version: of the model; by default the one that is served.
        nodata: value of missing pixels in the image's own units, in place of those that the file
            names; "none" for no such value.
        timeout_s: time limit for the server.
        stretch: `percentile` to stretch the values of each channel to the range that the model was
            trained on, which changes what the model is given; only in the native protocol.
        bands: bands of the image that are its channels, as numbers from 1 or names, in order: a
            sequence, or a text with commas. By default all bands but alpha, or those that the model
            names, if the file has them.
        alpha: `no` if no band is alpha, even one that is tagged as such; `yes` if one is even if
            none is tagged, which is then the last.
    """

    model: str | None
    version: str | int | None
    nodata: NoData | None
    timeout_s: float | None
    stretch: Stretch | None
    bands: Bands | None
    alpha: Alpha | None


class MapOptions(Target, total=False):
    """Options of `map`, beside those for errors.

    Attributes:
        concurrency: number of images that are sent at once.
        progress: whether to draw a progress bar on the standard error.
        probabilities: whether results hold probabilities, too.
        also: further planes that results hold.
    """

    concurrency: int
    progress: bool
    probabilities: bool
    also: Collection[str]


_NO_MORE: Any = object()
"""Mark of the end of an iterator."""


def check_names(function: str, given: Iterable[str], options: Collection[str]) -> None:
    """Check the names of further arguments, as Python does with those that are declared.

    Args:
        function: name of the function.
        given: names that were given.
        options: names of all arguments of the function that may be given by name.

    Raises:
        TypeError: if one is unknown.
    """
    for name in given:
        if name not in Target.__annotations__:
            near = difflib.get_close_matches(name, [*Target.__annotations__, *options], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def build_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of all requests."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def build_request(http: httpx2.Client | httpx2.AsyncClient, call: HttpCall) -> httpx2.Request:
    """Build the HTTP request of a call."""
    return http.build_request(
        call.method,
        call.path,
        headers=dict(call.headers),
        content=call.content,
    )


def make_reply(response: httpx2.Response) -> HttpReply:
    """Return the reply that a response, read to its end, holds."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpReply(response.status_code, headers, response.content)


def pair_up(
    images: Iterable[Image], masks: Iterable[Image | None] | None
) -> Iterator[tuple[Image, Image | None]]:
    """Return each image with its mask.

    Raises:
        ValueError: if there are not as many masks as images: at once if both can be counted, or
            else where one of them ends.
    """
    if masks is None:
        return zip(images, repeat(None), strict=False)
    if isinstance(images, Sized) and isinstance(masks, Sized) and len(images) != len(masks):
        raise ValueError(
            f"masks must be as many as images; {len(images)} images came, and {len(masks)} masks"
        )
    return _zip_counted(images, masks)


def _zip_counted(
    images: Iterable[Image], masks: Iterable[Image | None]
) -> Iterator[tuple[Image, Image | None]]:
    rest = iter(masks)
    count = 0
    for count, image in enumerate(images, 1):
        mask = next(rest, _NO_MORE)
        if mask is _NO_MORE:
            raise ValueError(
                f"masks must be as many as images; {count - 1} masks came, and more images"
            )
        yield image, mask
    if next(rest, _NO_MORE) is not _NO_MORE:
        raise ValueError(f"masks must be as many as images; {count} images came, and more masks")
