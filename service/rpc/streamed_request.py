"""Requests that are messages of a stream."""

from __future__ import annotations

from typing import Any

from lacuna.errors import MalformedRequestError
from service.engine.reservation import Reservation
from service.rpc.call import Call
from service.wire.dialect import Body, RequestHead


class StreamedRequest:
    """Request that is a message of a stream. It is a request for the exchange.

    Args:
        call: call of the stream.
        message: encoded message.
        number: number of the message in the stream.
        fault: reason for which the message is refused without being parsed; empty for none.

    Attributes:
        path: path of the method.
        request_id: id of the call, with the number of the message.
        address: address of the client.
        client: name of the client.
        log_fields: further fields of the request's log line.
    """

    declared_bytes = 0

    def __init__(self, call: Call, message: bytes, number: int, fault: str) -> None:
        self.path, self.address, self.client = call.path, call.address, call.client
        self.request_id = f"{call.request_id}/{number}"
        self.log_fields: dict[str, Any] = dict(call.log_fields)
        self._call = call
        self._message = message
        self._fault = fault

    @property
    def head(self) -> RequestHead:
        """Rest of the deadline; the message says all else."""
        return self._call.head

    async def read_body(self, reservation: Reservation) -> Body:
        """Return the message, and count its bytes.

        Raises:
            MalformedRequestError: if it has a fault.
            OverloadedError: if there is no room for it.
        """
        if self._fault:
            raise MalformedRequestError(self._fault)
        reservation.grow(len(self._message))
        return self._message

    async def wait_for_disconnect(self) -> None:
        """Wait for ever, because gRPC cancels the task of a call whose client has gone."""
        await self._call.wait_for_disconnect()

    def add_log_fields(self, **fields: Any) -> None:
        """Add fields to the request's log line. They must hold neither pixels nor secrets."""
        self.log_fields.update(fields)
