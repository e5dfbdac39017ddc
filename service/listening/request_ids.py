"""Ids of requests, from their clients or new ones."""

from __future__ import annotations

import itertools
import re
import secrets

_USABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# A random part for each process and a number for each request. Reading randomness for each request
# would be a system call that releases the interpreter to other threads.
_PROCESS_ID = secrets.token_hex(10)
_NUMBERS = itertools.count()


def choose_id(given: str | None) -> str:
    """Return the id of a request.

    Args:
        given: id that the client has sent; None for none.

    Returns:
        The client's id if it is usable, else a new one.
    """
    return find_usable(given) or f"{_PROCESS_ID}{next(_NUMBERS):012x}"


def find_usable(given: str | None) -> str | None:
    """Return the id that a client has sent, if it has at most 128 harmless characters; else None.

    Args:
        given: id that the client has sent; None for none.
    """
    return given if given is not None and _USABLE.fullmatch(given) else None
