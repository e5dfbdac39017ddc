"""Outputs that a request asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import list_names, quote
from lacuna.planes import PLANES
from service.wire.json_object import read_member
from service.wire.outputs import LABELS, estimate_pixel_bytes

OUTPUTS = (LABELS, *PLANES)

DEFAULT_OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"all": OUTPUTS, "labels": (LABELS,)}
)
"""Outputs of a request that names none, by the value of the setting."""


class RequestedOutput(NamedTuple):
    """Output that a request asks for.

    Attributes:
        name: one of `OUTPUTS`.
        binary: True for raw bytes after the JSON, False for numbers in the JSON.
    """

    name: str
    binary: bool

    def estimate_pixel_bytes(self, classes: int) -> int:
        """Estimate the memory of the output and of its part of the answer for a pixel, in bytes.

        Args:
            classes: number of classes of the model.
        """
        return estimate_pixel_bytes(self.name, classes, as_text=not self.binary)


def read_outputs(
    content: dict[str, Any], parameters: dict[str, Any], default: Sequence[str] = OUTPUTS
) -> list[RequestedOutput]:
    """Read the requested outputs.

    Args:
        content: JSON object of the request.
        parameters: parameters of the request.
        default: outputs of a request that names none.

    Returns:
        Outputs in the order of the request.

    Raises:
        MalformedRequestError: if an output is unknown or present twice, or is requested in a form
            that is not supported.
    """
    binary = _read_flag(parameters, "binary_data_output", default=False)
    wanted = [
        _read_output(given, binary)
        for given in read_member(content, "outputs", list, "the request") or []
    ]
    return choose_outputs(wanted, [RequestedOutput(name, binary) for name in default])


def choose_outputs(
    wanted: list[RequestedOutput], default: list[RequestedOutput]
) -> list[RequestedOutput]:
    """Return the outputs that a request names, or the default if it names none.

    Args:
        wanted: outputs that the request names.
        default: outputs of a request that names none.

    Raises:
        MalformedRequestError: if an output is named twice.
    """
    names = [output.name for output in wanted]
    if len(set(names)) < len(names):
        raise MalformedRequestError(
            f"a request must name each output once; it names {list_names(names)}"
        )
    return wanted or default


def _read_output(given: Any, binary: bool) -> RequestedOutput:
    if not isinstance(given, dict) or given.get("name") not in OUTPUTS:
        raise MalformedRequestError(
            f"name of an output must be one of {', '.join(OUTPUTS)}; it is {quote(given)}"
        )
    parameters = read_member(given, "parameters", dict, "an output") or {}
    for name in ("classification", "shared_memory_region"):
        if parameters.get(name):
            raise MalformedRequestError(
                f"{given['name']} must be requested as a tensor; {name} is not supported"
            )
    return RequestedOutput(given["name"], _read_flag(parameters, "binary_data", default=binary))


def _read_flag(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    value = read_member(parameters, name, bool, "the parameters")
    return default if value is None else bool(value)
