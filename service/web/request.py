"""HTTP requests in the form that the exchange takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from lacuna.errors import MalformedRequestError
from lacuna.out_of_memory import check_address_space
from service.engine.reservation import Reservation
from service.listening.body_limits import BodyLimits
from service.listening.request_ids import find_usable
from service.web.access import name_client
from service.web.body import read_body, read_declared_bytes
from service.web.request_log import add_log_fields
from service.wire.dialect import Body, ModelTarget, RequestHead

_CODING = "content-encoding"
_REQUEST_ID = "x-request-id"


class HttpRequest:
    """HTTP request whose body was not read yet.

    Args:
        request: request of the framework.
        limits: limits of the body.
        target: model that the path names; None if the body names it.

    Raises:
        MalformedRequestError: if the query has a parameter twice.

    Attributes:
        head: headers, query and target.
        declared_bytes: declared length of the body in bytes; 0 if the request declares none.
    """

    __slots__ = ("_limits", "_receive", "_scope", "declared_bytes", "head")

    def __init__(
        self, request: Request, limits: BodyLimits, target: ModelTarget | None = None
    ) -> None:
        query = _read_query(request) if request.scope["query_string"] else {}
        headers = _read_headers(request.scope["headers"])
        given_id = find_usable(headers.get(_REQUEST_ID))
        self.head = RequestHead(headers, query, target, given_id=given_id)
        self.declared_bytes = read_declared_bytes(headers)
        self._scope = request.scope
        self._receive = request.receive
        self._limits = limits

    @property
    def client(self) -> str:
        """Name of the client: that of its key, or its address if it has no key."""
        return name_client(self._scope)

    async def read_body(self, reservation: Reservation) -> Body:
        """Read the whole body, whose declared length the intake has checked; see `read_body`."""
        check_address_space(self.declared_bytes)
        return await read_body(self._receive, self._limits, reservation=reservation)

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected. Call it only after reading the body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def add_log_fields(self, **fields: Any) -> None:
        """Add fields to the request's log line."""
        add_log_fields(self._scope, **fields)


def _read_query(request: Request) -> Mapping[str, str]:
    """Return the parameters of the query; MalformedRequestError if one of them is repeated."""
    query = request.query_params
    if len(query.multi_items()) > len(query):
        names = [name for name, _ in query.multi_items()]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRequestError(
            f"the query must have each name once; it has {twice:.100} twice"
        )
    return query


def _read_headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return the headers by name. Of a repeated one the first counts, but all codings do."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name == _CODING:
            headers[name] += f", {value}"
    return headers
