"""Places from 0 to 1, by which parts of a split are drawn."""

from __future__ import annotations

import hashlib


def draw_place(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
