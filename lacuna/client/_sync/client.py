# Generated from lacuna/client/_async by `make unasync`; edits belong there.
"""A client of the server over HTTP."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sized
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self, Unpack, overload

import httpx2

from lacuna.client._sync.downloads import download_sources
from lacuna.client.calls import HttpCall, HttpReply, Question, Steps, Value
from lacuna.client.catalog import Catalog
from lacuna.client.failures import Failure, explain_silence, read_failure
from lacuna.client.labelled import is_labelled
from lacuna.client.large_files import check_large_file
from lacuna.client.models import ModelInfo, read_model
from lacuna.client.preparation import add_axis_hint, find_taken_sidecar, prepare
from lacuna.client.progress import show_progress
from lacuna.client.protocols import PROTOCOLS, Protocol
from lacuna.client.protocols.native import write_call
from lacuna.client.result import Result
from lacuna.client.retries import RetryPolicy, choose_wait
from lacuna.client.server_warnings import pass_on, read_warnings
from lacuna.client.sources import Image
from lacuna.client.threads import Sleep, map_concurrently, sleep
from lacuna.client.transport import (
    KEEPALIVE_S,
    MapOptions,
    Target,
    build_headers,
    build_request,
    check_names,
    make_reply,
    pair_up,
)
from lacuna.errors import ChannelMismatchError, LacunaError, RequestError
from lacuna.raster.sidecar import name_sidecar

_SEGMENT_OPTIONS = ("mask", "probabilities", "also")
_MAP_OPTIONS = ("masks", "concurrency", "progress", "return_errors")


class Client:
    """Client of a server over HTTP.

    `Client` blocks, and may be shared by threads. `AsyncClient` belongs to one event loop, and
    blocks it only while it reads files.


    Args:
        url: of the server, e.g. `http://127.0.0.1:8000`.
        api_key: sent as `Authorization: Bearer …`.
        timeout_s: time limit for the connection, and for each part of an answer.
        retry: how long to try again when the server is overloaded or unreachable.
        protocol: `native`, `oip` (Triton, KServe) or `tfserving`.
        transport: used instead of the network.
        clock: returns seconds; measures the time of all tries.
        sleep: waits for seconds between tries.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 300.0,
        retry: RetryPolicy | None = None,
        protocol: Protocol = "native",
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = sleep,
    ) -> None:
        self._url = url
        self._http = httpx2.Client(
            base_url=url,
            headers=build_headers(api_key),
            timeout=timeout_s,
            limits=httpx2.Limits(keepalive_expiry=KEEPALIVE_S),
            transport=transport,
        )
        self._retry = RetryPolicy() if retry is None else retry
        self._segment = PROTOCOLS[protocol]
        self._catalog = Catalog()
        self._has_answered = False
        self._clock, self._sleep = clock, sleep

    def segment(
        self,
        image: Image,
        mask: Image | None = None,
        *,
        probabilities: bool = False,
        also: Collection[str] = (),
        **target: Unpack[Target],
    ) -> Result:
        """Segment an image.

        If the server warns that the labels may be wrong, so does this, with a `LacunaWarning`.

        Args:
            image: a path, a URL, a file's bytes, an open file, an array (H, W) or (H, W, C) of
                NumPy or of xarray, or a PIL image. The client downloads what a URL names. A pixel
                of a masked array is valid if none of its channels is masked; masked values are not
                sent.
            mask: the same, of the image's size; non-zero = valid. Without one, the mask that GDAL
                keeps beside an image file is taken. A masked array's own mask, alpha, the no-data
                value and finiteness count besides.
            probabilities: whether the result holds probabilities, too.
            also: further planes that the result holds: `confidence`, `support`; not in the
                protocol `tfserving`.
            **target: `model`, `version`, `nodata`, `timeout_s`, `stretch`, `bands`, `alpha`; None
                is the same as leaving it out.

        Raises:
            LacunaError: the error of the server: `RequestError` if the request is at fault,
                `UnavailableError` if trying again may help.
            OSError: if a file cannot be read.
            TypeError: if an argument is unknown, or an image is of a type that is not taken.
        """
        check_names("segment", target, _SEGMENT_OPTIONS)
        return self.ask(Question(image, mask, probabilities, also=also, **target))

    def ask(self, question: Question) -> Result:
        """Segment the image of a question; see `segment`."""
        question = download_sources(self._http, question)
        prepared = prepare(question)
        self._run(check_large_file(prepared, self._catalog))
        try:
            result = self._run(self._segment(prepared, self._catalog))
        except ChannelMismatchError as error:
            add_axis_hint(error, prepared)
            raise
        except RequestError as error:
            raise name_sidecar(error, find_taken_sidecar(question, prepared)) from None
        pass_on(result.warnings)
        return replace(result, image=question.image) if is_labelled(question.image) else result

    def segment_as(
        self,
        media_type: str,
        image: Image,
        mask: Image | None = None,
        also: Collection[str] = (),
        **target: Unpack[Target],
    ) -> bytes:
        """Segment an image and return the answer as the server writes it, whatever the protocol.

        Args:
            media_type: one of `lacuna.outputs.MEDIA_TYPES`.
            image: as in `segment`.
            mask: as in `segment`.
            also: as in `segment`, for types that hold planes.
            **target: as in `segment`.

        Returns:
            The answer's bytes.
        """
        check_names("segment_as", target, ("mask", "also"))
        question = Question(image, mask, also=also, **target)
        question = prepare(download_sources(self._http, question))
        self._run(check_large_file(question, self._catalog))
        reply = self._send(write_call(question, media_type))
        pass_on(read_warnings(reply))
        return reply.content

    @overload
    def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        return_errors: Literal[False] = False,
        **options: Unpack[MapOptions],
    ) -> Iterator[Result]: ...
    @overload
    def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        return_errors: Literal[True],
        **options: Unpack[MapOptions],
    ) -> Iterator[Result | LacunaError | OSError]: ...
    def map(
        self,
        images: Iterable[Image],
        masks: Iterable[Image | None] | None = None,
        *,
        concurrency: int = 8,
        progress: bool = False,
        return_errors: bool = False,
        probabilities: bool = False,
        also: Collection[str] = (),
        **target: Unpack[Target],
    ) -> Iterator[Result | LacunaError | OSError]:
        """Segment many images, several at once.

        Args:
            images: as in `segment`; read as they are needed, so they may be endless.
            masks: one for each image, or None for those that have none.
            concurrency: number of images that are sent at once.
            progress: whether to draw a progress bar on the standard error.
            return_errors: whether the result of an image that fails is its error. If not, the first
                error is raised, and no further image is sent.
            probabilities: as in `segment`.
            also: as in `segment`.
            **target: as in `segment`.

        Returns:
            Results, in the order of the images.

        Raises:
            TypeError: if an argument is unknown.
            ValueError: if there are not as many masks as images.
        """
        check_names("map", target, (*_SEGMENT_OPTIONS, *_MAP_OPTIONS))

        def segment(
            pair: tuple[Image, Image | None],
        ) -> Result | LacunaError | OSError:
            try:
                return self.segment(*pair, probabilities=probabilities, also=also, **target)
            except (LacunaError, OSError) as error:
                if return_errors:
                    return error
                raise

        total = len(images) if isinstance(images, Sized) else None
        bar = show_progress(total, enabled=progress)
        return map_concurrently(segment, pair_up(images, masks), concurrency, bar)

    def models(self) -> list[ModelInfo]:
        """Return the models and their versions; none if the server does not list them."""
        return [read_model(model) for model in self._run(self._catalog.list_models())]

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

    def _run(self, steps: Steps[Value]) -> Value:
        try:
            call = next(steps)
            while True:
                call = steps.send(self._send(call))
        except StopIteration as done:
            value: Value = done.value
            return value

    def _send(self, call: HttpCall) -> HttpReply:
        began_s, tries = self._clock(), 0
        while True:
            outcome = self._ask(call)
            if isinstance(outcome, HttpReply):
                return outcome
            tries += 1
            elapsed_s = self._clock() - began_s
            wait_s = choose_wait(
                self._retry,
                outcome,
                tries,
                elapsed_s,
                random.random(),  # noqa: S311
                has_answered=self._has_answered,
            )
            if wait_s is None:
                raise outcome.error
            self._sleep(wait_s)

    def _ask(self, call: HttpCall) -> HttpReply | Failure:
        try:
            reply = make_reply(self._http.send(build_request(self._http, call)))
        except httpx2.HTTPError as fault:
            return explain_silence(self._url, fault)
        self._has_answered = True
        return reply if call.accepts(reply.status) else read_failure(reply)
