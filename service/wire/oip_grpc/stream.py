"""Messages of `ModelStreamInfer`."""

from __future__ import annotations

from collections.abc import Mapping

from lacuna.errors import MalformedRequestError
from service.interfaces.messages import encode
from service.wire.message_fields import find_fields, frame
from service.wire.oip_grpc.request import MAX_FIELDS

MAX_ID_BYTES = 1024
"""Most bytes of an id. It stays in memory until the answer was sent, which nothing counts."""

_ID = 3
_RESPONSE = 2

_FINAL = encode(
    "inference.ModelInferResponse",
    {"parameters": {"triton_final_response": {"bool_param": True}}},
)
"""Parameter of an answer that no other answer to its request follows: it is so of each."""


def read_id(message: bytes) -> str:
    """Return the id in a `ModelInferRequest`; empty if it has none.

    Raises:
        MalformedRequestError: if the message is not one of protobuf, has too many fields, or its id
            is too long.
    """
    found = None
    for count, field in enumerate(find_fields(message), 1):
        if count > MAX_FIELDS:
            raise MalformedRequestError(
                f"a ModelInferRequest must have at most {MAX_FIELDS} fields; it has more, so its "
                "id is not known"
            )
        if field.number == _ID:
            found = field
    if found is None:
        return ""
    id_bytes = found.end - found.content
    if id_bytes > MAX_ID_BYTES:
        raise MalformedRequestError(
            f"the id of a request in a stream must have at most {MAX_ID_BYTES} bytes; it has "
            f"{id_bytes}"
        )
    return message[found.content : found.end].decode("utf-8", "replace")


def wrap_answer(answer: bytes) -> bytes:
    """Return the message of the stream that holds a `ModelInferResponse`."""
    return b"".join([frame(_RESPONSE, len(answer) + len(_FINAL)), answer, _FINAL])


def render_error(request_id: str, message: str, facts: Mapping[str, str]) -> bytes:
    """Return the message of the stream about a request that failed.

    Args:
        request_id: id of the request; empty for none.
        message: message for people.
        facts: parameters for programs: the stable `code` of the error, and when to retry.
    """
    parameters = {name: {"string_param": value} for name, value in facts.items()}
    response = {"id": request_id, "parameters": parameters}
    return encode(
        "inference.ModelStreamInferResponse",
        {"error_message": message, "infer_response": response},
    )
