"""Asking one thing at a time: what a server serves, and what it answers to each image alone."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from lacuna.errors import UnavailableError
from service.bench.connection import Connection
from service.bench.question import Address, Question


class UnansweredError(UnavailableError):
    """The server gave no answer that a benchmark can begin with."""

    code = "unanswered"


class ServedModel(NamedTuple):
    """What must be known of a model to ask it.

    Attributes:
        name: of the model.
        channels: of its images.
    """

    name: str
    channels: int


async def find_model(address: Address, name: str | None, timeout_s: float) -> ServedModel:
    """Find the model to ask.

    Args:
        address: of the server.
        name: of the model; None for the only one.
        timeout_s: how long to wait.

    Raises:
        UnansweredError: if the server does not answer, or serves no such model.
    """
    request = address.build_head("GET", "/v1/models", "Accept: application/json")
    status, body = await ask_once(address, request, timeout_s)
    try:
        entries: list[dict[str, Any]] = json.loads(body)["models"] if status == 200 else []
        served = {one["name"]: one["image"]["channels"] for one in entries if "image" in one}
    except (ValueError, TypeError, KeyError):
        served = {}
    if not served:
        raise UnansweredError(
            f"the server must list a model that is ready; {address.host}:{address.port} does not "
            f"(GET /v1/models: {status})"
        )
    wanted = next(iter(served)) if name is None and len(served) == 1 else name
    if wanted is None or wanted not in served:
        raise UnansweredError(
            f"the model must be one of {', '.join(served)}; it is {wanted or 'not named'}"
        )
    return ServedModel(wanted, int(served[wanted]))


async def answer_alone(
    address: Address, questions: Sequence[Question], timeout_s: float
) -> list[Question]:
    """Ask each question by itself, the next one when the last is answered.

    Args:
        address: of the server, which is to have nothing else to do.
        questions: to ask.
        timeout_s: how long to wait for each answer.

    Returns:
        The questions, with what was answered as what is expected from now on.

    Raises:
        UnansweredError: if one is not answered.
    """
    known = []
    for number, question in enumerate(questions):
        status, body = await ask_once(address, question.request, timeout_s)
        if status != 200:
            raise UnansweredError(
                f"each image must be answered when it is asked alone; number {number}, of "
                f"{question.pixels} pixels, is not: {status} {body[:300].decode(errors='replace')}"
            )
        known.append(dataclasses.replace(question, expected=body))
    return known


async def ask_once(address: Address, request: bytes, timeout_s: float) -> tuple[int, bytes]:
    """Ask over a connection of its own.

    Args:
        address: of the server.
        request: head and body.
        timeout_s: how long to wait, for the connection and the answer together.

    Returns:
        Status and body.

    Raises:
        UnansweredError: if no answer comes.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[tuple[int, bytes]] = loop.create_future()
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(
                lambda: Connection(_Once(heard)),
                address.host,
                address.port,
                ssl=address.secure or None,
            )
            try:
                connection.ask(request)
                return await heard
            finally:
                connection.abort()
    except OSError as error:
        reason = error.strerror or str(error) or f"{timeout_s:g} s were not enough"
        raise UnansweredError(
            f"the server must answer; {address.host}:{address.port} does not: {reason}; "
            "`lacuna serve` starts one"
        ) from error


class _Once:
    """Hears the first answer."""

    def __init__(self, heard: asyncio.Future[tuple[int, bytes]]) -> None:
        self._heard = heard

    def on_open(self, _: Connection) -> None:
        """Wait to be asked."""

    def on_answer(self, _: Connection, status: int, __: bytes, body: bytes) -> None:
        """Hand it over."""
        if not self._heard.done():
            self._heard.set_result((status, body))

    def on_lost(self, _: Connection) -> None:
        """Tell that nothing will come."""
        if not self._heard.done():
            self._heard.set_exception(ConnectionResetError("the connection was lost"))
