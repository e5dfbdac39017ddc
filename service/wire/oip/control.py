"""The model repository extension: the index, load and unload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from lacuna.errors import MalformedRequestError
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
"""The protocol's names of the states of a version."""

_REASONS: Mapping[str, str] = MappingProxyType({"unloaded": "unloaded"})
"""What is told of a state that nothing went wrong in, as Triton words it."""

_HARMLESS = {"unload_dependents"}


def wants_ready_only(body: bytes | bytearray) -> bool:
    """Read the body of `POST /v2/repository/index`.

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
    """Answer `POST /v2/repository/index`.

    Args:
        versions: name, version, state and reason of each.
        ready_only: leave out what does not answer.
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


def check_control(body: bytes | bytearray) -> None:
    """Read the body of `POST /v2/repository/models/{name}/load` or `/unload`.

    Args:
        body: JSON, or empty.

    Raises:
        MalformedRequestError: if it brings a configuration or files of its own: a model is code,
            and is loaded as it stands in the repository.
    """
    if not body:
        return
    content = read_object(body, ImageLimits())
    parameters = read_member(content, "parameters", dict, "the request") or {}
    strange = sorted(set(parameters) - _HARMLESS)
    if strange:
        raise MalformedRequestError(
            "a model must be loaded as it stands in the repository; "
            f"{', '.join(strange)[:100]} cannot be given"
        )
