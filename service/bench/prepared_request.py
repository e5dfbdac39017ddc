"""Prepared requests: encoded once and sent many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from lacuna.client.transport import build_headers
from lacuna.raster.npy import write_npy
from lacuna.sample import Sample

# One boundary for all, so that equal images are equal bytes.
_FORM = "multipart/form-data; boundary=lacuna-4f1c7b0e9a2d4f57b1c3"
_NPY = "application/x-npy"


def parse_server_url(text: str) -> httpx2.URL:
    """Parse the URL of a server.

    Args:
        text: URL such as `http://127.0.0.1:8000`; a path is a prefix of all requests.

    Returns:
        The URL, without a slash at its end.

    Raises:
        ValueError: if it is not an HTTP or HTTPS URL.
    """
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ValueError(f"a URL must be like http://127.0.0.1:8000; it is {text}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"a URL must be like http://127.0.0.1:8000; it is {text}")
    return url.copy_with(path=url.path.rstrip("/"))


def encode_request(method: str, server: httpx2.URL, path: str, **content: Any) -> bytes:
    """Encode a request as HTTP/1.1.

    Args:
        method: HTTP method.
        server: URL of the server.
        path: path below that URL.
        **content: headers and body, as `httpx2.Request` takes them.

    Returns:
        Head and body.
    """
    url = server.copy_with(path=server.path.rstrip("/") + path)
    request = httpx2.Request(method, url, **content)
    lines = [b"%b %b HTTP/1.1" % (method.encode(), url.raw_path)]
    lines += [b"%b: %b" % field for field in request.headers.raw]
    return b"\r\n".join((*lines, b"", request.read()))


@dataclass(frozen=True, eq=False)
class PreparedRequest:
    """Request for the segmentation of one image.

    Attributes:
        content: head and body, as they are sent.
        pixels: height × width of the image.
        valid_pixels: number of valid pixels.
        expected: NPY file of the correct labels; None if they are unknown.
    """

    content: bytes
    pixels: int
    valid_pixels: int
    expected: bytes | None = None


def prepare_request(
    server: httpx2.URL,
    sample: Sample,
    parameters: Mapping[str, str] | None = None,
    expected: bytes | None = None,
    *,
    api_key: str | None = None,
) -> PreparedRequest:
    """Prepare a form of NPY files that is answered with an NPY file.

    Args:
        server: URL of the server.
        sample: image and mask.
        parameters: further fields, such as `model`.
        expected: NPY file of the correct labels, if they are known.
        api_key: key for the server; None for none.
    """
    files = {"image": sample.image, "mask": sample.mask}
    content = encode_request(
        "POST",
        server,
        "/v1/segment",
        headers={"Accept": _NPY, "Content-Type": _FORM, **build_headers(api_key)},
        data=parameters,
        files={name: (f"{name}.npy", write_npy(array), _NPY) for name, array in files.items()},
    )
    return PreparedRequest(content, sample.mask.size, int(sample.mask.sum()), expected)
