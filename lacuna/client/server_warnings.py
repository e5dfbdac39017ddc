"""Warnings of the server about its answers, as the client passes them on."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from lacuna.appearance.comparison import AnswerWarning
from lacuna.client.calls import HttpReply
from lacuna.errors import LacunaWarning

HEADER = "x-lacuna-warnings"

_PACKAGE = "lacuna.client."


def read_warnings(reply: HttpReply) -> tuple[AnswerWarning, ...]:
    """Read the warnings in the header of an answer; none if they cannot be read.

    Args:
        reply: the answer, in any protocol.
    """
    try:
        return parse_warnings(json.loads(reply.headers.get(HEADER, "[]")))
    except (ValueError, RecursionError):
        return ()


def parse_warnings(described: Any) -> tuple[AnswerWarning, ...]:
    """Read warnings from JSON values; what is no warning is left out.

    Args:
        described: a list of objects with `code` and `message`.
    """
    if not isinstance(described, list):
        return ()
    return tuple(
        AnswerWarning(str(entry["code"]), str(entry["message"]))
        for entry in described
        if isinstance(entry, dict) and {"code", "message"} <= entry.keys()
    )


def pass_on(found: Iterable[AnswerWarning]) -> None:
    """Emit warnings of the server as Python's, at the line that called the client."""
    for warning in found:
        warnings.warn(LacunaWarning(warning.message, warning.code), stacklevel=_count_frames())


def _count_frames() -> int:
    """Return the `stacklevel` of the first caller outside the client."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 (as `warnings` does)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
