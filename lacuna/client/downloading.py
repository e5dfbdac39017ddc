"""Rules for images that are given by their URLs.

1. URLs are of http or https. The client downloads them; the server never does.
2. Neither the API key nor another header of the client is sent, only what the URL itself holds.
3. At most five redirects are followed, to http and https, and none from https to http.
4. A file has at most 1 GiB.
"""

from __future__ import annotations

from typing import TypeGuard

import httpx2

from lacuna.client.failures import FailedError, RejectedError
from lacuna.distribution import VERSION
from lacuna.errors import BodyTooLargeError, MalformedRequestError

MOST_REDIRECTS = 5
MOST_BYTES = 1 << 30


def is_url(source: object) -> TypeGuard[str]:
    """Return whether a source is a URL of http or https."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def name_url(url: str | httpx2.URL) -> str:
    """Return a URL for messages, without what may be secret."""
    return str(httpx2.URL(url).copy_with(userinfo=b"", query=None, fragment=None))


def begin(http: httpx2.Client | httpx2.AsyncClient, url: str) -> httpx2.Request:
    """Make the first request, with the times of a client and none of its headers.

    Raises:
        MalformedRequestError: if the URL cannot be read.
    """
    headers = {"User-Agent": f"lacuna/{VERSION}"}
    try:
        request = httpx2.Request(
            "GET", url, headers=headers, extensions={"timeout": http.timeout.as_dict()}
        )
    except httpx2.InvalidURL as fault:
        raise MalformedRequestError(f"a URL must be one of http or https; {fault}") from None
    if not request.url.host:
        raise MalformedRequestError(f"a URL must name a host; {url:.100} names none")
    return request


def follow(before: httpx2.Request, after: httpx2.Request) -> httpx2.Request:
    """Return the request that a redirect leads to, if it may be followed.

    Raises:
        MalformedRequestError: if it leads to another scheme, or from https to http.
    """
    allowed = ("https",) if before.url.scheme == "https" else ("http", "https")
    if after.url.scheme not in allowed:
        raise MalformedRequestError(
            f"a redirect must lead to {' or '.join(allowed)}; {name_url(before.url)} leads to "
            f"{after.url.scheme}"
        )
    after.extensions = before.extensions
    return after


def check_answer(response: httpx2.Response) -> None:
    """Check that an answer has a file, and one of a size that may be downloaded.

    Raises:
        RejectedError: if the status is from 400 to 499.
        FailedError: if it is another that has no file.
        BodyTooLargeError: if the file is too large.
    """
    status = response.status_code
    if status != 200:
        kind = RejectedError if 400 <= status < 500 else FailedError
        raise kind(f"a URL must answer 200; {name_url(response.url)} answers {status}")
    length = response.headers.get("content-length", "")
    check_size(response, int(length) if length.isascii() and length.isdigit() else 0)


def check_size(response: httpx2.Response, size: int) -> None:
    """Check the size of a file, or of what has come of it.

    Raises:
        BodyTooLargeError: if it is too large.
    """
    if size > MOST_BYTES:
        raise BodyTooLargeError(
            f"a file that is downloaded must have at most {MOST_BYTES} bytes; "
            f"{name_url(response.url)} has more"
        )
