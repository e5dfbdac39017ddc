"""Input tensors of a request: their names, datatypes and shapes, and their data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import quote
from service.wire.json_object import read_member
from service.wire.oip.tensors import IMAGE_DATATYPES, MASK_DATATYPES, Tensor, count_bytes

_MAX_SIDE = 1 << 32
"""Maximum side of a shape. It exceeds all limits, and products of sides stay short in messages."""


class InputSpec(NamedTuple):
    """Specification of an input.

    Attributes:
        datatypes: accepted datatypes.
        ranks: accepted numbers of dimensions.
        layout: layout of the shape, for messages.
    """

    datatypes: tuple[str, ...]
    ranks: tuple[int, ...]
    layout: str


INPUTS: Mapping[str, InputSpec] = MappingProxyType(
    {
        "image": InputSpec(IMAGE_DATATYPES, (4,), "[N, H, W, C]"),
        "mask": InputSpec(MASK_DATATYPES, (3, 4), "[N, H, W] or [N, H, W, 1]"),
    }
)


def read_inputs(inputs: list[Any], raw: memoryview) -> dict[str, Tensor]:
    """Read the inputs of a request.

    Args:
        inputs: value of `inputs` in the JSON.
        raw: bytes that follow the JSON.

    Returns:
        Inputs by name; raw bytes are not copied.

    Raises:
        MalformedRequestError: if an input is unknown or present twice, has a wrong datatype or
            shape, or if the number of raw bytes does not match the inputs.
    """
    tensors: dict[str, Tensor] = {}
    start = 0
    for given in inputs:
        if not isinstance(given, dict):
            raise MalformedRequestError(f"an input must be an object; it is {quote(given)}")
        name, datatype, shape = read_description(given, tensors)
        size = _read_size(given, name)
        if size is None:
            data: memoryview | list[Any] = _read_data(given, name)
        else:
            _check_alone(given, name)
            _check_size(name, datatype, shape, size, len(raw) - start)
            data, start = raw[start : start + size], start + size
        tensors[name] = Tensor(name, datatype, shape, data)
    if start != len(raw):
        raise MalformedRequestError(
            f"the inputs must account for all bytes after the JSON; they take {start}, and there "
            f"are {len(raw)}"
        )
    return tensors


def read_description(
    given: dict[str, Any], before: Mapping[str, Tensor]
) -> tuple[str, str, tuple[int, ...]]:
    """Read the name, datatype and shape of an input.

    Args:
        given: input of a request, without its data.
        before: inputs that were read before it.

    Raises:
        MalformedRequestError: if it is unknown or present twice, or has a wrong datatype or shape.
    """
    name = _read_name(given, before)
    return name, _read_datatype(given, name), _read_shape(given, name)


def _read_name(given: dict[str, Any], before: Mapping[str, Tensor]) -> str:
    name = read_member(given, "name", str, "an input")
    if name not in INPUTS:
        raise MalformedRequestError(
            f"name of an input must be one of {', '.join(INPUTS)}; it is {quote(name)}"
        )
    if name in before:
        raise MalformedRequestError(f"a request must have each input once; it has {name} twice")
    return str(name)


def _read_datatype(given: dict[str, Any], name: str) -> str:
    datatype = read_member(given, "datatype", str, name)
    accepted = INPUTS[name].datatypes
    if datatype not in accepted:
        raise MalformedRequestError(
            f"datatype of {name} must be one of {', '.join(accepted)}; it is {quote(datatype)}"
        )
    return str(datatype)


def _read_shape(given: dict[str, Any], name: str) -> tuple[int, ...]:
    shape = read_member(given, "shape", list, name) or []
    if len(shape) not in INPUTS[name].ranks or set(map(type, shape)) != {int}:
        raise MalformedRequestError(
            f"shape of {name} must be {INPUTS[name].layout}; it is {quote(shape)}"
        )
    if not 1 <= min(shape) <= max(shape) <= _MAX_SIDE:
        raise MalformedRequestError(
            f"sides of {name} must be from 1 to {_MAX_SIDE}; its shape is {quote(shape)}"
        )
    return tuple(shape)


def check_in_body(name: str, parameters: Mapping[str, Any]) -> None:
    """Check that the data of an input is in the request.

    Raises:
        MalformedRequestError: if it is in shared memory.
    """
    if "shared_memory_region" in parameters:
        raise MalformedRequestError(
            f"data of {name} must be in the body; it is in shared memory, which is not supported"
        )


def _read_size(given: dict[str, Any], name: str) -> int | None:
    parameters = read_member(given, "parameters", dict, name) or {}
    check_in_body(name, parameters)
    size = read_member(parameters, "binary_data_size", int, f"{name}'s parameters")
    return None if size is None else int(size)


def _read_data(given: dict[str, Any], name: str) -> list[Any]:
    data = read_member(given, "data", list, name)
    if data is None:
        raise MalformedRequestError(
            f"{name} must have data, or binary_data_size in its parameters; it has neither"
        )
    return list(data)


def _check_alone(given: dict[str, Any], name: str) -> None:
    if given.get("data") is not None:
        raise MalformedRequestError(
            f"{name} must have data, or binary_data_size in its parameters; it has both"
        )


def _check_size(
    name: str, datatype: str, shape: tuple[int, ...], size: int, left_bytes: int
) -> None:
    expected = count_bytes(datatype, shape)
    if size != expected:
        raise MalformedRequestError(
            f"binary_data_size of {name} must be {expected}, the size of {datatype} "
            f"{list(shape)}; it is {size}"
        )
    if size > left_bytes:
        raise MalformedRequestError(
            f"the body must hold the {size} bytes of {name}; it has {left_bytes} left"
        )
