"""Measurement of a running server, from finding its model to the report."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx2

from lacuna.client.catalog import find_default
from lacuna.client.transport import build_headers
from lacuna.errors import UnavailableError
from service.bench.connection import ClientConnection, RawResponse
from service.bench.load import run_load
from service.bench.load_profile import LoadProfile
from service.bench.prepared_request import PreparedRequest, encode_request, prepare_request
from service.bench.report import Report, make_report
from service.bench.workload import Workload, draw_samples


class UnansweredError(UnavailableError):
    """The server gave no answer from which a benchmark can start."""

    code = "unanswered"


class TargetModel(NamedTuple):
    """Model of the server.

    Attributes:
        name: name of the model.
        channels: number of channels of its images.
    """

    name: str
    channels: int


async def measure_server(
    server: httpx2.URL,
    workload: Workload,
    profile: LoadProfile,
    model: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
    *,
    api_key: str | None = None,
) -> Report:
    """Send each image alone, then all of them under load, and compare the answers.

    Args:
        server: URL of the server.
        workload: images to send. Its number of channels is replaced by the model's.
        profile: how to load the server.
        model: name of the model; None for the default one, or the only one.
        tell: called with a description of each step.
        api_key: key for the server; None for none.

    Raises:
        UnansweredError: if the server does not answer, serves no such model, or fails to answer an
            image that is sent alone.
    """
    tell(f"looking for the model at {server.netloc.decode()}")
    served = await find_model(server, model, profile.timeout_s, api_key)
    workload = dataclasses.replace(workload, channels=served.channels)
    tell(f"drawing {workload.images} images")
    fields = {} if model is None else {"model": model}
    requests = [
        prepare_request(server, sample, fields, api_key=api_key)
        for sample in draw_samples(workload)
    ]
    tell(f"sending each of {workload.images} images alone")
    requests = await answer_alone(server, requests, profile.timeout_s)
    tell("measuring")
    return make_report(await run_load(server, requests, profile), requests)


async def find_model(
    server: httpx2.URL, name: str | None, timeout_s: float, api_key: str | None = None
) -> TargetModel:
    """Find the model to measure.

    Args:
        server: URL of the server.
        name: name of the model; None for the default one, or the only one.
        timeout_s: how long to wait.
        api_key: key for the server; None for none.

    Raises:
        UnansweredError: if the server does not answer, or serves no such model.
    """
    headers = {"Accept": "application/json", **build_headers(api_key)}
    request = encode_request("GET", server, "/v1/models", headers=headers)
    response = await send_once(server, request, timeout_s)
    served, default = _read_models(response)
    if not served:
        raise UnansweredError(
            f"the server must list a model that is ready; {server.netloc.decode()} does not "
            f"(GET /v1/models: {response.status})"
        )
    if name is None:
        name = next(iter(served)) if default is None and len(served) == 1 else default
    if name is None or name not in served:
        raise UnansweredError(
            f"the model must be one of {', '.join(served)}; it is {name or 'not named'}"
        )
    return TargetModel(name, served[name])


async def answer_alone(
    server: httpx2.URL, requests: Sequence[PreparedRequest], timeout_s: float
) -> list[PreparedRequest]:
    """Send the requests one after another, each when the one before is answered.

    Args:
        server: URL of the server, which must have nothing else to do.
        requests: requests to send.
        timeout_s: how long to wait for each answer.

    Returns:
        The requests, each with its answer as the expected one.

    Raises:
        UnansweredError: if one is not answered.
    """
    answered = []
    for number, request in enumerate(requests):
        response = await send_once(server, request.content, timeout_s)
        if response.status != 200:
            raise UnansweredError(
                f"each image must be answered when it is sent alone; number {number}, of "
                f"{request.pixels} pixels, is not: {response.status} "
                f"{response.body[:300].decode(errors='replace')}"
            )
        answered.append(dataclasses.replace(request, expected=response.body))
    return answered


async def send_once(server: httpx2.URL, request: bytes, timeout_s: float) -> RawResponse:
    """Send one request over a connection of its own.

    Args:
        server: URL of the server.
        request: head and body.
        timeout_s: how long to wait, for the connection and the response together.

    Raises:
        UnansweredError: if no response comes.
    """
    try:
        async with asyncio.timeout(timeout_s):
            connection = await ClientConnection.open(server)
            try:
                return await connection.exchange(request)
            finally:
                await connection.close()
    except OSError as error:
        reason = error.strerror or str(error) or f"{timeout_s:g} s were not enough"
        raise UnansweredError(
            f"the server must answer; {server.netloc.decode()} does not: {reason}; "
            "`lacuna serve` starts one"
        ) from error


def _read_models(response: RawResponse) -> tuple[dict[str, int], str | None]:
    """Return the channels of each model that is ready, by its name, and the name of the default."""
    if response.status != 200:
        return {}, None
    try:
        entries: list[dict[str, Any]] = json.loads(response.body)["models"]
        channels = {one["name"]: int(one["image"]["channels"]) for one in entries if "image" in one}
        return channels, find_default(entries)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}, None
