# Generated from lacuna/client/_async by `make unasync`; edits belong there.
"""Images that are given by their URLs, which the client downloads."""

from __future__ import annotations

from dataclasses import replace

import httpx2

from lacuna.client.calls import Question
from lacuna.client.downloading import (
    MOST_REDIRECTS,
    begin,
    check_answer,
    check_size,
    follow,
    is_url,
    name_url,
)
from lacuna.client.failures import explain_silence
from lacuna.errors import MalformedRequestError


def download_sources(http: httpx2.Client, question: Question) -> Question:
    """Return a question whose image and mask are files, if they were URLs.

    Args:
        http: client that downloads them. Neither its headers nor its API key are sent.
        question: any question.

    Raises:
        LacunaError: if a file cannot be downloaded; see `download`.
    """
    image, mask = question.image, question.mask
    if not is_url(image) and not is_url(mask):
        return question
    return replace(
        question,
        image=download(http, image) if is_url(image) else image,
        mask=download(http, mask) if is_url(mask) else mask,
    )


def download(http: httpx2.Client, url: str) -> bytes:
    """Download a file.

    Raises:
        MalformedRequestError: if the URL cannot be read, or leads to another that must not be
            followed.
        BodyTooLargeError: if the file is too large.
        RejectedError: if it is not there, or not for everybody.
        UnavailableError: if no file came.
    """
    try:
        request = begin(http, url)
        for _ in range(MOST_REDIRECTS + 1):
            response = http.send(request, stream=True)
            try:
                if response.next_request is None:
                    return _read(response)
                request = follow(request, response.next_request)
            finally:
                response.close()
    except httpx2.HTTPError as fault:
        raise explain_silence(name_url(url), fault).error from fault
    raise MalformedRequestError(
        f"a URL must lead to its file in at most {MOST_REDIRECTS} redirects; {name_url(url)} does "
        "not"
    )


def _read(response: httpx2.Response) -> bytes:
    check_answer(response)
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        check_size(response, len(content))
    return bytes(content)
