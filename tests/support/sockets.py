"""Clients that do what no HTTP library lets them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def connect(address: str, timeout_s: float = 20.0) -> Iterator[socket.socket]:
    """Open a connection to `host:port`."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        yield connection


def make_head(method: str = "POST", path: str = "/v1/segment", **headers: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: server"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the server ends the connection; a reset ends it as well."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return bytes(received)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer that declares its length: status, headers in lower case, body."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"the answer must have a head; {bytes(received)!r} came")
        received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, body
