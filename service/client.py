"""A client of the server. Needs neither TensorFlow nor FastAPI.

with Client("http://127.0.0.1:8000") as client:
    labels = client.segment("scene.png", "mask.png")
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import numpy as np
from numpy.typing import NDArray

from service.errors import LacunaError, RequestError, UnavailableError
from service.formats.npy import read_npy, write_npy

Image = str | Path | bytes | NDArray[Any]
"""A file's path, a file's bytes, or an array (H, W) or (H, W, C)."""


class UnreachableError(UnavailableError):
    """No answer came from the server."""

    code = "unreachable"


class Client:
    """Asks a server over HTTP.

    Args:
        url: of the server, e.g. `http://127.0.0.1:8000`.
        timeout_s: how long to wait for the connection, and for each part of an answer.
        transport: to use instead of the network's.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 300.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(base_url=url, timeout=timeout_s, transport=transport)

    def segment(
        self, image: Image, mask: Image | None = None, **parameters: str | float | None
    ) -> NDArray[np.uint8]:
        """Segment an image.

        Args:
            image: what to segment.
            mask: non-zero = valid; without one, alpha, no-data and finiteness decide.
            **parameters: `model`, `version`, `nodata`, `timeout_s`; None counts as left out.

        Returns:
            Labels uint8 (H, W), class ids; 255 where invalid.

        Raises:
            LacunaError: of the class that the server names: `RequestError` if the request is at
                fault, `UnavailableError` if trying again may help.
        """
        labels = read_npy(self.segment_as("application/x-npy", image, mask, **parameters))
        return labels.astype(np.uint8, copy=False)

    def segment_as(
        self,
        media_type: str,
        image: Image,
        mask: Image | None = None,
        **parameters: str | float | None,
    ) -> bytes:
        """Segment an image and take the answer as a file.

        Args:
            media_type: `application/json`, `image/png`, `application/x-npy` or `application/zip`.
            image: as in `segment`.
            mask: as in `segment`.
            **parameters: as in `segment`.

        Returns:
            The answer's bytes.
        """
        files = {"image": _read(image)} | ({} if mask is None else {"mask": _read(mask)})
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        try:
            response = self._http.post(
                "/v1/segment", files=files, data=given, headers={"Accept": media_type}
            )
        except httpx2.HTTPError as error:
            raise UnreachableError(
                f"the server must answer; {self._http.base_url} does not: {error}"
            ) from error
        if response.is_error:
            raise _read_error(response)
        return response.content

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _read(image: Image) -> bytes:
    if isinstance(image, np.ndarray):
        return write_npy(image)
    return image if isinstance(image, bytes) else Path(image).read_bytes()


def _read_error(response: httpx2.Response) -> LacunaError:
    """Make the error that the server raised."""
    try:
        problem = response.json()
        code, message = str(problem["code"]), str(problem["detail"])
    except (ValueError, TypeError, KeyError):
        code, message = "", f"the server answered {response.status_code}"
    for kind in _walk(LacunaError):
        if getattr(kind, "code", None) == code:
            return kind(message)
    fallback = RequestError if response.is_client_error else UnavailableError
    return fallback(message)


def _walk(kind: type[LacunaError]) -> Iterator[type[LacunaError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _walk(child)
