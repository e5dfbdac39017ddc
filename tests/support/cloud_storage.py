"""A stand-in for Google Cloud Storage and a machine's metadata server."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "ya29.token-of-the-service-account"  # noqa: S105 (of no account)
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 (a path)
_PAGE = 2


class CloudStorage:
    """Objects of one bucket, listed in pages of two.

    Attributes:
        url: where it listens.
        faults: statuses that the next requests for objects get instead of an answer.
        damaged: names of objects whose content comes changed.
        token: token that requests must carry; None for none.
    """

    def __init__(self, bucket: str, objects: Mapping[str, bytes], url: str) -> None:
        self.bucket, self.objects, self.url = bucket, dict(objects), url
        self.faults: list[int] = []
        self.damaged: set[str] = set()
        self.token: str | None = TOKEN

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(path)
        if parts.path == _TOKEN_PATH:
            known = self.token is not None and headers.get("Metadata-Flavor") == "Google"
            return (200, json.dumps({"access_token": TOKEN}).encode()) if known else (404, b"")
        if self.token is not None and headers.get("Authorization") != f"Bearer {self.token}":
            return 401, b""
        if self.faults:
            return self.faults.pop(0), b""
        root, query = (
            f"/storage/v1/b/{self.bucket}/o",
            parse_qs(parts.query, keep_blank_values=True),
        )
        if parts.path == root:
            return 200, json.dumps(self._list(query)).encode()
        name = unquote(parts.path.removeprefix(f"{root}/"))
        # A name with a slash that is not escaped would be another resource.
        known = "/" not in parts.path.removeprefix(f"{root}/") and query.get("alt") == ["media"]
        if not known or name not in self.objects:
            return 404, b""
        return 200, self.objects[name] + (b"!" if name in self.damaged else b"")

    def _list(self, query: Mapping[str, list[str]]) -> dict[str, object]:
        prefix = query.get("prefix", [""])[0]
        names = sorted(name for name in self.objects if name.startswith(prefix))
        begin = int(query.get("pageToken", ["0"])[0])
        page = {"items": [self._describe(name) for name in names[begin : begin + _PAGE]]}
        if not page["items"]:
            return {}
        more = begin + _PAGE < len(names)
        return page | ({"nextPageToken": str(begin + _PAGE)} if more else {})

    def _describe(self, name: str) -> dict[str, str]:
        content = self.objects[name]
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        return {
            "name": name,
            "size": str(len(content)),
            "md5Hash": base64.b64encode(digest).decode(),
        }


@contextmanager
def serve_objects(bucket: str, objects: Mapping[str, bytes]) -> Iterator[CloudStorage]:
    """Serve objects of a bucket, and a token for them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = storage.answer(self.path, self.headers)  # type: ignore[arg-type]
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        storage = CloudStorage(bucket, objects, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield storage
        finally:
            server.shutdown()
            thread.join(30)
