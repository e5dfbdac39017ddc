"""Access control by API keys, whatever the protocol.

1. If no keys are configured, every request is allowed except loading and unloading models.
2. If keys are configured, every request needs one, unless its listener says that it is open:
   orchestrators, Prometheus and visitors without a key need some. A new route needs a key by
   default.
3. Loading and unloading models needs the admin key. Without an admin key, nobody can do it.
4. A client is identified by the name of its key, or by its address if it has no key. Of an IPv6
   address only the network counts, its first 64 bits: a client may use all addresses of one.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from lacuna.errors import ForbiddenError, UnauthenticatedError
from service.listening.keys import KeyRing, Principal

_BEARER = b"bearer "


class AccessControl:
    """Check of requests against the known keys.

    Args:
        keys: known keys; None for none.

    Attributes:
        has_keys: True if there is any key, be it only that of the admin.
    """

    def __init__(self, keys: KeyRing | None = None) -> None:
        self._keys = KeyRing()
        self.has_keys = False
        if keys is not None:
            self.replace_keys(keys)

    @property
    def needs_keys(self) -> bool:
        """True if requests need a key."""
        return self._keys.guards_requests

    def replace_keys(self, keys: KeyRing) -> KeyRing:
        """Check all further requests against other keys, and return the former ones."""
        former, self._keys = self._keys, keys
        self.has_keys = keys.guards_requests or keys.guards_control
        return former

    def find(self, key: bytes | None) -> Principal | None:
        """Return the holder of a request's key; None if it has no key, or one that is unknown."""
        return None if key is None else self._keys.find(key)

    def check_control(self, key: bytes | None, principal: Principal | None) -> None:
        """Check that a request may load and unload models.

        Args:
            key: key of the request; None if it has none.
            principal: holder of that key; None if it is unknown.

        Raises:
            UnauthenticatedError: if the request has no known key.
            ForbiddenError: if its key is not the admin key, or the server has no admin key.
        """
        if not self._keys.guards_control:
            raise ForbiddenError(
                "loading and unloading models needs an admin key, because models are code; "
                "this server has none"
            )
        if principal is None:
            raise make_missing_key_error(key, "the admin key")
        if not principal.is_admin:
            raise ForbiddenError(
                "loading and unloading models needs the admin key; the request has another key"
            )


def read_bearer(value: bytes) -> bytes | None:
    """Return the key in the value of `Authorization`; None if it is no bearer token."""
    is_bearer = value[: len(_BEARER)].lower() == _BEARER
    return value[len(_BEARER) :].strip() if is_bearer else None


def name_address(address: str) -> str:
    """Return the name of a client without a key: its address, or the network of an IPv6 address."""
    return _name_network(address) if ":" in address else address


@lru_cache(maxsize=4096)
def _name_network(address: str) -> str:
    """Return the network of 64 bits of an IPv6 address, or the IPv4 address that it stands for."""
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def make_missing_key_error(key: bytes | None, needed: str = "a key") -> UnauthenticatedError:
    """Make the error of a request that has no known key.

    Args:
        key: key of the request; None if it has none.
        needed: key that it needs, for the message.
    """
    found = "it has none" if key is None else "its key is not known"
    return UnauthenticatedError(
        f"the request needs {needed}, as Authorization: Bearer KEY or X-API-Key: KEY; {found}"
    )
