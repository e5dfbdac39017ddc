"""The model repository extension: index, load and unload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import list_names
from lacuna.raster.limits import ImageLimits
from service.wire.json_object import read_member, read_object

READY = "READY"

STATES: Mapping[str, str] = MappingProxyType(
    {
        "loading": "LOADING",
        "warming": "LOADING",
        "ready": READY,
        "unloading": "UNLOADING",
        "failed": "UNAVAILABLE",
        "unloaded": "UNAVAILABLE",
    }
)
"""States of a version, by the protocol's names."""

_REASONS: Mapping[str, str] = MappingProxyType({"unloaded": "unloaded"})
"""Reasons for states without an error, in Triton's words."""

_ALLOWED_PARAMETERS = {"unload_dependents"}


def wants_ready_only(body: bytes | bytearray) -> bool:
    """Return True if a body of `POST /v2/repository/index` asks for ready versions only.

    Args:
        body: `{"ready": bool}`, or empty.

    Raises:
        MalformedRequestError: if it is anything else.
    """
    if not body:
        return False
    return bool(read_member(read_object(body, ImageLimits()), "ready", bool, "the request"))


def describe_index(
    versions: Iterable[tuple[str, str, str, str]], *, ready_only: bool
) -> list[dict[str, Any]]:
    """Return the answer to `POST /v2/repository/index`.

    Args:
        versions: name, version, state and reason of each version.
        ready_only: True to leave out versions that are not ready.
    """
    return [
        {
            "name": name,
            "version": version,
            "state": STATES[state],
            "reason": reason or _REASONS.get(state, ""),
        }
        for name, version, state, reason in versions
        if not ready_only or STATES[state] == READY
    ]


def check_body(body: bytes | bytearray) -> None:
    """Check the body of `POST /v2/repository/models/{name}/load` or `/unload`.

    Args:
        body: JSON, or empty.

    Raises:
        MalformedRequestError: if it holds a configuration or files. A model is code, so it is
            loaded only from the repository.
    """
    if not body:
        return
    content = read_object(body, ImageLimits())
    check_parameters(read_member(content, "parameters", dict, "the request") or {})


def check_parameters(parameters: Iterable[str]) -> None:
    """Check the names of the parameters of a load or an unload.

    Raises:
        MalformedRequestError: if one would change the model.
    """
    unknown = sorted(set(parameters) - _ALLOWED_PARAMETERS)
    if unknown:
        raise MalformedRequestError(
            "load and unload must have no parameters that change the model; "
            f"{list_names(unknown)} came"
        )
