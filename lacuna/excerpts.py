"""Excerpts of values for messages: what a client sent may have millions of characters."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from itertools import islice
from typing import Any

MAX_CHARACTERS = 100
"""Most characters of an excerpt."""

_MAX_NAMES = 20


class _Repr(reprlib.Repr):
    """Representation that reads no more of a value than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 2, 40, 10
        self.maxstring = self.maxlong = self.maxother = MAX_CHARACTERS

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        # The base class sorts all members.
        shown = dict(islice(value.items(), self.maxdict + 1))
        return super().repr_dict(shown, level)


_REPR = _Repr()


def quote(value: object) -> str:
    """Return the beginning of a value's representation, without making all of it."""
    if isinstance(value, str | bytes):
        value = value[:MAX_CHARACTERS]
        return repr(value)[:MAX_CHARACTERS]
    return _REPR.repr(value)[:MAX_CHARACTERS]


def list_names(names: Iterable[str]) -> str:
    """Return the first names, separated by commas, each cut short; "none" if there are none."""
    shown = [name[:MAX_CHARACTERS] for name in islice(names, _MAX_NAMES)]
    return ", ".join(shown)[: 2 * MAX_CHARACTERS] or "none"
