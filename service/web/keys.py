"""The keys that open the server: kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lacuna.errors import ConfigurationError

MIN_LENGTH = 16
"""Guessing a random key of this length over a network takes longer than anybody has."""

_USABLE = re.compile(rf"[\x21-\x7e]{{{MIN_LENGTH},512}}")


@dataclass(frozen=True)
class Caller:
    """Who has sent a key.

    Attributes:
        name: the beginning of the key's digest, which tells keys apart in logs and gives none away.
        is_admin: whether models may be loaded and unloaded.
    """

    name: str
    is_admin: bool


class KeyRing:
    """Knows keys again. Holds their SHA-256 digests, not the keys.

    Args:
        keys: that requests are answered for.
        admin: that models may be loaded and unloaded with, too.

    Raises:
        ConfigurationError: if a key is short, or has what a header cannot carry.
    """

    def __init__(self, keys: Iterable[str] = (), admin: str | None = None) -> None:
        known = [(key, False) for key in keys]
        if admin is not None and (admin, False) in known:
            raise ConfigurationError(
                "the admin key must be another than those of clients; it is not"
            )
        self.guards_requests = bool(known)
        self.guards_control = admin is not None
        if admin is not None:
            known.append((admin, True))
        self._callers = [_remember(key, is_admin=is_admin) for key, is_admin in known]

    def find(self, key: bytes) -> Caller | None:
        """Tell whose key it is. Takes the same time whichever it is, or whether it is one."""
        digest = hashlib.sha256(key).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(digest, known):
                found = caller
        return found


def read_keys(text: str) -> list[str]:
    """Read keys, one a line or separated by commas; empty lines and lines after # do not count."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith("#")]
    return [key.strip() for line in lines for key in line.split(",") if key.strip()]


def _remember(key: str, *, is_admin: bool) -> tuple[bytes, Caller]:
    if not _USABLE.fullmatch(key):
        # Never the key itself: this goes to a log.
        raise ConfigurationError(
            f"a key must be {MIN_LENGTH} to 512 visible ASCII characters; one has {len(key)} "
            "characters, or others among them"
        )
    digest = hashlib.sha256(key.encode()).digest()
    return digest, Caller(digest.hex()[:8], is_admin)
