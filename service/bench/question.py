"""Requests, made once and sent many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lacuna.raster.npy import write_npy
from lacuna.sample import Sample

_BOUNDARY = b"lacuna-4f1c7b0e9a2d4f57b1c3"


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: name or address.
        port: TCP port.
        secure: whether to speak TLS.
        prefix: that all its paths begin with; empty if none.
    """

    host: str
    port: int
    secure: bool = False
    prefix: str = ""

    def build_head(self, method: str, path: str, *fields: str) -> bytes:
        """Write the head of a request.

        Args:
            method: of HTTP.
            path: below the prefix.
            *fields: header lines beside `Host`.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = (f"{method} {self.prefix}{path} HTTP/1.1", f"Host: {host}:{self.port}", *fields)
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")


def parse_address(url: str) -> Address:
    """Read a server's URL.

    Args:
        url: such as `http://127.0.0.1:8000`.

    Raises:
        ValueError: if it is none of HTTP or HTTPS.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"a URL must be like http://127.0.0.1:8000; it is {url}")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return Address(parts.hostname, port, secure, parts.path.rstrip("/"))


@dataclass(frozen=True, eq=False)
class Question:
    """An image to ask about, as the bytes that are sent.

    Attributes:
        request: head and body.
        pixels: of the image, height × width.
        valid_pixels: how many of them are valid.
        expected: NPY file of the right labels; None if they are not known.
    """

    request: bytes
    pixels: int
    valid_pixels: int
    expected: bytes | None = None


def build_question(
    address: Address,
    sample: Sample,
    parameters: Mapping[str, str] | None = None,
    expected: bytes | None = None,
) -> Question:
    """Make a question of a sample: a form of NPY files, to be answered with one.

    Args:
        address: of the server.
        sample: image and mask.
        parameters: further fields, such as `model`.
        expected: NPY file of the right labels, if they are known.
    """
    parts = [_build_part(name, value.encode()) for name, value in (parameters or {}).items()]
    parts.append(_build_part("image", write_npy(sample.image), is_file=True))
    parts.append(_build_part("mask", write_npy(sample.mask), is_file=True))
    parts.append(b"--%b--\r\n" % _BOUNDARY)
    head = address.build_head(
        "POST",
        "/v1/segment",
        "Accept: application/x-npy",
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY.decode()}",
        f"Content-Length: {sum(map(len, parts))}",
    )
    return Question(b"".join((head, *parts)), sample.mask.size, int(sample.mask.sum()), expected)


def _build_part(name: str, content: bytes, *, is_file: bool = False) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{name}"']
    if is_file:
        lines[0] += f'; filename="{name}.npy"'
        lines.append("Content-Type: application/x-npy")
    head = "\r\n".join((*lines, "\r\n")).encode()
    return b"--%b\r\n%b%b\r\n" % (_BOUNDARY, head, content)
