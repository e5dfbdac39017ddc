"""Download of a model repository from Google Cloud Storage, where Vertex AI keeps it.

1. The service account of the machine gives the access token. Without one, objects must be public.
2. Files come into a folder beside the target, which takes the target's place when all are there.
3. Each file is compared with its MD5, where the storage knows one.
4. A request that fails for now is sent again: no answer, or status 408, 429 or 5xx.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx2

from lacuna.errors import ConfigurationError

SCHEME = "gs://"

_TIMEOUT_S = 60.0
_METADATA_TIMEOUT_S = 5.0
_WAITS_S = (1.0, 2.0, 4.0, 8.0)
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 (a path)


@dataclass(frozen=True)
class Artifacts:
    """Folder in Google Cloud Storage.

    Attributes:
        uri: its address, `gs://BUCKET/FOLDER`.
        api_url: URL of the storage.
        metadata_url: URL of the machine's metadata server.
    """

    uri: str
    api_url: str = "https://storage.googleapis.com"
    metadata_url: str = "http://metadata.google.internal"


def download_artifacts(
    artifacts: Artifacts, target: Path, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Download a folder with all folders in it.

    Args:
        artifacts: folder to download.
        target: folder to make; one that is there is replaced.
        sleep: function that waits for seconds between tries.

    Raises:
        ConfigurationError: if the folder is empty or cannot be downloaded.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with httpx2.Client(timeout=_TIMEOUT_S) as http:
            bucket = _Bucket(artifacts, http, sleep)
            for entry in bucket.list_objects():
                bucket.fetch(entry, partial)
        if not partial.exists():
            raise _explain(artifacts, "it is empty")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except OSError as error:
        raise _explain(artifacts, f"{target}: {error.strerror}") from error


class _Bucket:
    """Bucket, and a folder in it.

    Args:
        artifacts: the folder.
        http: client to use.
        sleep: function that waits for seconds between tries.
    """

    def __init__(
        self, artifacts: Artifacts, http: httpx2.Client, sleep: Callable[[float], object]
    ) -> None:
        name, _, folder = artifacts.uri.removeprefix(SCHEME).partition("/")
        folder = folder.strip("/")
        self._artifacts = artifacts
        self._prefix = f"{folder}/" if folder else ""
        self._url = f"{artifacts.api_url}/storage/v1/b/{quote(name, safe='')}/o"
        self._http = http
        self._sleep = sleep
        self._headers = _authorize(http, artifacts.metadata_url)

    def list_objects(self) -> Iterator[dict[str, Any]]:
        """Yield the description of each object in the folder."""
        query: dict[str, str] | None = {"prefix": self._prefix}
        while query is not None:
            page: dict[str, Any] = self._get(self._url, query).json()
            yield from page.get("items", ())
            following = page.get("nextPageToken")
            query = None if following is None else {**query, "pageToken": following}

    def fetch(self, entry: dict[str, Any], folder: Path) -> None:
        """Download an object to its place in a folder."""
        name: str = entry["name"]
        place = PurePosixPath(name[len(self._prefix) :])
        if name.endswith("/"):
            return  # stands for a folder
        if place.is_absolute() or ".." in place.parts or "\0" in name:
            raise _explain(self._artifacts, f"{name!r} leads out of it")
        content = self._get(f"{self._url}/{quote(name, safe='')}", {"alt": "media"}).content
        if entry.get("md5Hash") not in (None, _digest(content)):
            raise _explain(self._artifacts, f"{name} differs from its checksum")
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _get(self, url: str, query: dict[str, str]) -> httpx2.Response:
        reason = ""
        for wait_s in (*_WAITS_S, None):
            try:
                response = self._http.get(url, params=query, headers=self._headers)
            except httpx2.HTTPError as error:
                reason = str(error) or type(error).__name__
            else:
                if response.status_code == 200:
                    return response
                reason = f"{url} answers {response.status_code}"
                if response.status_code < 500 and response.status_code not in (408, 429):
                    break
            if wait_s is not None:
                self._sleep(wait_s)
        raise _explain(self._artifacts, reason)


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _authorize(http: httpx2.Client, metadata_url: str) -> dict[str, str]:
    """Return the header with the token of the machine's service account; none if it has none."""
    try:
        answer = http.get(
            f"{metadata_url}{_TOKEN_PATH}",
            headers={"Metadata-Flavor": "Google"},
            timeout=_METADATA_TIMEOUT_S,
        )
    except httpx2.HTTPError:
        return {}
    if answer.status_code != 200:
        return {}
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _explain(artifacts: Artifacts, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"AIP_STORAGE_URI must be a folder of models that can be downloaded; {artifacts.uri}: "
        f"{reason}"
    )
