"""API keys: stored as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lacuna.errors import ConfigurationError

MIN_LENGTH = 16
"""Minimum length in characters. A random key of this length cannot be guessed over a network."""

_USABLE = re.compile(rf"[\x21-\x7e]{{{MIN_LENGTH},512}}")


@dataclass(frozen=True)
class Principal:
    """Holder of a key.

    Attributes:
        name: first 8 hexadecimal digits of the key's SHA-256. It identifies the key in logs without
            revealing it.
        is_admin: True if the holder may load and unload models.
    """

    name: str
    is_admin: bool


class KeyRing:
    """Set of known keys. It holds their SHA-256 digests, not the keys.

    Args:
        keys: keys of clients.
        admin: admin key, which may also load and unload models; None for none.

    Attributes:
        guards_requests: True if requests need a key.
        guards_control: True if there is an admin key.
        names: names of the keys, as in the log.

    Raises:
        ConfigurationError: if a key is too short or too long, or has characters that a header
            cannot carry.
    """

    def __init__(self, keys: Iterable[str] = (), admin: str | None = None) -> None:
        known = [(key, False) for key in keys]
        if admin is not None and (admin, False) in known:
            raise ConfigurationError(
                "the admin key must differ from the keys of clients; it is one of them"
            )
        self.guards_requests = bool(known)
        self.guards_control = admin is not None
        if admin is not None:
            known.append((admin, True))
        self._principals = [_remember(key, is_admin=is_admin) for key, is_admin in known]
        self.names = frozenset(principal.name for _, principal in self._principals)

    def find(self, key: bytes) -> Principal | None:
        """Return the holder of a key; None if the key is not known. Runs in constant time."""
        digest = hashlib.sha256(key).digest()
        found = None
        for known, principal in self._principals:
            if hmac.compare_digest(digest, known):
                found = principal
        return found


def read_keys(text: str) -> list[str]:
    """Read keys, one per line or separated by commas; ignore empty lines and lines with #."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith("#")]
    return [key.strip() for line in lines for key in line.split(",") if key.strip()]


def _remember(key: str, *, is_admin: bool) -> tuple[bytes, Principal]:
    if not _USABLE.fullmatch(key):
        # The message must not hold the key, because it is logged.
        raise ConfigurationError(
            f"a key must have {MIN_LENGTH} to 512 visible ASCII characters and no others; one has "
            f"{len(key)} characters"
        )
    digest = hashlib.sha256(key.encode()).digest()
    return digest, Principal(digest.hex()[:8], is_admin)
