"""Reading of the one small message that a call has."""

from __future__ import annotations

from typing import Any

from service.rpc.call import Call
from service.wire.messages import decode, name_short


async def read_message(call: Call, name: str) -> Any:
    """Read and parse the message of a call.

    Args:
        call: call whose message was not read yet.
        name: full name of the message.

    Raises:
        BodyTooLargeError: if it is not small.
        MalformedRequestError: if it cannot be parsed.
        EmptyBodyError: if there is none.
        SlowBodyError: if it does not arrive in time.
        NotReadyError: if it has not arrived when the server drains.
    """
    return decode(name, await call.read_short(name_short(name)))
