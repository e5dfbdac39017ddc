import asyncio

import httpx2
import numpy as np
import pytest

from lacuna.client import (
    AsyncClient,
    Client,
    FailedError,
    RejectedError,
    UnreachableError,
    downloading,
)
from lacuna.errors import BodyTooLargeError, MalformedRequestError
from tests.lacuna.client.scripts import ANSWER

FILE = b"\x93NUMPY, a file"


class Web(httpx2.MockTransport):
    """Server of segmentations, and of files elsewhere, by their URLs."""

    def __init__(self, **pages):
        super().__init__(self._answer)
        self.requests, self.pages = [], pages

    def _answer(self, request):
        self.requests.append(request)
        if request.url.host == "server":
            return httpx2.Response(200, json=ANSWER)
        answer = self.pages[request.url.path.strip("/")]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return httpx2.Response(302, headers={"Location": answer})
        return (
            answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, content=answer)
        )


def ask(web, url, **options):
    with Client("http://server", api_key="secret-key", transport=web) as client:
        return client.segment(url, **options)


def test_the_client_downloads_what_a_url_names_and_sends_it():
    web = Web(image=FILE, mask=b"a mask")

    result = ask(web, "https://files/image?signed", mask="http://files/mask")

    *_, sent = web.requests
    assert FILE in sent.content
    assert b"a mask" in sent.content
    assert result.image == FILE


def test_a_file_is_asked_for_without_the_key_and_headers_of_the_server():
    web = Web(image=FILE)

    ask(web, "https://files/image")

    first, second = web.requests
    assert set(first.headers) == {"host", "user-agent"}
    assert second.headers["authorization"] == "Bearer secret-key"


def test_a_file_is_waited_for_as_long_as_an_answer():
    web = Web(image=FILE)

    with Client("http://server", timeout_s=7, transport=web) as client:
        client.segment("https://files/image")

    assert web.requests[0].extensions["timeout"]["read"] == 7


def test_redirects_are_followed():
    web = Web(first="/second", second="https://elsewhere/third", third=FILE)

    assert ask(web, "http://files/first").image == FILE


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ({"image": "/image"}, "at most 5 redirects; https://files/image does not"),
        ({"image": "http://files/plain"}, "must lead to https; https://files/image leads to http"),
        ({"image": "file:///etc/passwd"}, "leads to file"),
    ],
)
def test_other_redirects_are_refused(pages, words):
    web = Web(**pages)

    with pytest.raises(MalformedRequestError, match=words):
        ask(web, "https://files/image?token=hidden")
    assert "server" not in {request.url.host for request in web.requests}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx2.Response(404), RejectedError, "must answer 200; https://files/image answers 404"),
        (httpx2.Response(503), FailedError, "answers 503"),
        (httpx2.Response(204), FailedError, "answers 204"),
        (httpx2.ConnectError("refused"), UnreachableError, "https://files/image does not: refused"),
    ],
)
def test_a_url_without_a_file_is_an_error(answer, error, words):
    with pytest.raises(error, match=words) as raised:
        ask(Web(image=answer), "https://user:password@files/image?token=hidden")
    assert "password" not in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_a_file_that_says_that_it_is_too_large_is_not_read():
    length = {"Content-Length": str(downloading.MOST_BYTES + 1)}
    answer = httpx2.Response(200, headers=length, stream=httpx2.ByteStream(FILE))

    with pytest.raises(BodyTooLargeError, match="must have at most 1073741824 bytes"):
        ask(Web(image=answer), "https://files/image")


@pytest.mark.parametrize("url", ["http://", "https://[::1/image", "http://files:port/image"])
def test_a_url_that_cannot_be_read_is_refused(url):
    with pytest.raises(MalformedRequestError, match="a URL must"):
        ask(Web(), url)


def test_an_async_client_downloads_too():
    web = Web(image=FILE)

    async def run():
        async with AsyncClient("http://server", transport=web) as client:
            return await client.segment("https://files/image")

    assert asyncio.run(run()).image == FILE
    assert np.array_equal(ask(web, "https://files/image").labels, [[0, 255]])
