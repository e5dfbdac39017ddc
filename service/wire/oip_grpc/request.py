"""Parsing of `inference.ModelInferRequest`.

The raw contents of a large message are taken out of it where they stand, and are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lacuna.errors import MalformedRequestError
from service.wire.dialect import ModelTarget
from service.wire.message_fields import find_fields
from service.wire.messages import decode
from service.wire.oip.inputs import check_in_body, read_description
from service.wire.oip.outputs import OUTPUTS, read_outputs
from service.wire.oip.request import InferRequest, make_request
from service.wire.oip.tensors import Tensor, count_bytes

_INPUTS, _OUTPUTS, _RAW = 5, 6, 7
_NESTED = (_INPUTS, _OUTPUTS)

MAX_FIELDS = 4096
"""Most fields of a message and of its tensors' descriptions; each takes some hundred bytes."""

_FIELD_BYTES = 24
"""Most bytes of memory for each byte of a message without its raw contents: a number of one byte
becomes a Python integer in a list."""

_WHOLE_BYTES = 64 * 1024
"""Largest message that is parsed as a whole. To copy its raw contents takes less time than to find
them, and its fields are few enough."""

_MAX_INLINE_BYTES = 256 * 1024
"""Largest message that is parsed on the event loop. For larger ones, a thread is faster."""

_CONTENTS: Mapping[str, str] = MappingProxyType(
    {
        "BOOL": "bool_contents",
        **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
        "INT64": "int64_contents",
        **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
        "UINT64": "uint64_contents",
        "FP32": "fp32_contents",
        "FP64": "fp64_contents",
    }
)
"""Field of each datatype's numbers. FP16 and BF16 have none."""


def parse_infer(
    message: bytes, timeout_s: float | None, default_outputs: Sequence[str] = OUTPUTS
) -> InferRequest:
    """Parse a request.

    Args:
        message: encoded message.
        timeout_s: seconds that the client will still wait, as the call says; None for no limit.
        default_outputs: outputs of a request that names none.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    described: bytes = message
    raw: Sequence[memoryview | bytes] = ()
    if len(message) > _WHOLE_BYTES:
        described, raw = split_raw(message)
    content = decode("inference.ModelInferRequest", described)
    wanted = [
        {"name": output.name, "parameters": _read_parameters(output)} for output in content.outputs
    ]
    return make_request(
        _read_inputs(content.inputs, raw or content.raw_input_contents),
        # What HTTP answers on request, gRPC answers always: raw contents.
        read_outputs({"outputs": wanted}, {"binary_data_output": True}, default_outputs),
        _read_parameters(content),
        content.id or None,
        decodes_inline=parses_inline(len(message)),
        target=ModelTarget(content.model_name or None, content.model_version or None),
        waits_s=timeout_s,
    )


def split_raw(message: bytes) -> tuple[bytes, list[memoryview]]:
    """Split a message into its description and its raw contents.

    Returns:
        The message without its raw contents; the raw contents, which are not copied.

    Raises:
        MalformedRequestError: if the message is not one, or has too many fields.
    """
    view = memoryview(message)
    kept: list[memoryview] = []
    raw: list[memoryview] = []
    count = begin = 0
    for field in find_fields(message):
        count += 1
        if field.number == _RAW:
            kept.append(view[begin : field.begin])
            raw.append(view[field.content : field.end])
            begin = field.end
        elif field.number in _NESTED:
            for _ in find_fields(message, field.content, field.end):
                count += 1
                _check_count(count)
        _check_count(count)
    return b"".join([*kept, view[begin:]]), raw


def estimate_infer_bytes(message: bytes) -> int:
    """Estimate the memory that parsing a message takes besides it, in bytes."""
    if len(message) <= _WHOLE_BYTES:
        return len(message) * _FIELD_BYTES
    return len(split_raw(message)[0]) * _FIELD_BYTES


def parses_inline(message_bytes: int) -> bool:
    """Return True if parsing a message on the event loop is faster than in a thread."""
    return message_bytes <= _MAX_INLINE_BYTES


def _check_count(count: int) -> None:
    if count > MAX_FIELDS:
        raise MalformedRequestError(
            f"a ModelInferRequest must have at most {MAX_FIELDS} fields; it has more"
        )


def _read_parameters(owner: Any) -> dict[str, Any]:
    """Return the parameters of a message or of one of its tensors, by name."""
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "", None)
        for name, value in owner.parameters.items()
    }


def _read_inputs(inputs: Any, raw: Sequence[memoryview | bytes]) -> dict[str, Tensor]:
    if raw and len(raw) != len(inputs):
        raise MalformedRequestError(
            "raw_input_contents must have one item for each of the inputs, or none at all; there "
            f"are {len(raw)} for {len(inputs)} inputs"
        )
    tensors: dict[str, Tensor] = {}
    for index, given in enumerate(inputs):
        described = {"name": given.name, "datatype": given.datatype, "shape": list(given.shape)}
        name, datatype, shape = read_description(described, tensors)
        check_in_body(name, given.parameters)
        data: memoryview | list[Any]
        if raw:
            data = _check_raw(name, datatype, shape, memoryview(raw[index]))
            _check_alone(given, name)
        else:
            data = _read_contents(given, name, datatype)
        tensors[name] = Tensor(name, datatype, shape, data)
    return tensors


def _check_raw(name: str, datatype: str, shape: tuple[int, ...], content: memoryview) -> memoryview:
    expected = count_bytes(datatype, shape)
    if len(content) != expected:
        raise MalformedRequestError(
            f"raw_input_contents of {name} must have {expected} bytes, the size of {datatype} "
            f"{list(shape)}; it has {len(content)}"
        )
    return content


def _check_alone(given: Any, name: str) -> None:
    if given.HasField("contents"):
        raise MalformedRequestError(f"{name} must have contents or raw_input_contents; it has both")


def _read_contents(given: Any, name: str, datatype: str) -> list[Any]:
    field = _CONTENTS.get(datatype)
    if field is None:
        raise MalformedRequestError(
            f"data of {name} must be raw_input_contents if its datatype is {datatype}; it is not"
        )
    filled = [found.name for found, _ in given.contents.ListFields()]
    if filled != [field]:
        raise MalformedRequestError(
            f"contents of {name} must be {field}, because its datatype is {datatype}; it has "
            f"{', '.join(filled) or 'none'}"
        )
    return list(getattr(given.contents, field))
