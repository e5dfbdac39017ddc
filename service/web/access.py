"""Access control by API keys.

1. If no keys are configured, every request is allowed except loading and unloading models.
2. If keys are configured, every path needs a key unless it is in `OPEN_PATHS` or is a file of the
   page. Orchestrators, Prometheus and visitors without a key need the open paths. A new path needs
   a key by default.
3. Loading and unloading models needs the admin key. Without an admin key, nobody can do it.
4. A client is identified by the name of its key, or by its address if it has no key. Of an IPv6
   address only the network counts, its first 64 bits: a client may use all addresses of one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import Scope

from lacuna.errors import ForbiddenError, LacunaError, UnauthenticatedError
from service.web.keys import KeyRing, Principal

OPEN_PATHS = frozenset(
    {
        "/livez",
        "/readyz",
        "/ping",
        "/v2/health/live",
        "/v2/health/ready",
        "/metrics",
        "/",
        "/docs",
        "/openapi.json",
        "/favicon.ico",
    }
)
_OPEN_FOLDERS = ("/static/", "/samples/")

_PRINCIPAL = "lacuna.principal"

_BEARER = b"bearer "


class AccessControl:
    """Check of requests against the known keys.

    Args:
        keys: known keys; None for none.
        health_path: path of another health check that needs no key; None for none.
    """

    def __init__(self, keys: KeyRing | None = None, health_path: str | None = None) -> None:
        self._health_path = health_path
        self._keys = KeyRing()
        self._has_keys = False
        if keys is not None:
            self.replace_keys(keys)

    @property
    def needs_keys(self) -> bool:
        """True if requests need a key."""
        return self._keys.guards_requests

    def replace_keys(self, keys: KeyRing) -> KeyRing:
        """Check all further requests against other keys, and return the former ones."""
        former, self._keys = self._keys, keys
        self._has_keys = keys.guards_requests or keys.guards_control
        return former

    def check(self, scope: Scope) -> LacunaError | None:
        """Check the key of a request, and store its principal in the scope.

        Args:
            scope: ASGI scope of the request.

        Returns:
            None if the request is allowed, else the error to answer with.
        """
        if not self._has_keys:
            return None
        key = _find_key(scope["headers"])
        principal = None if key is None else self._keys.find(key)
        if principal is not None:
            scope[_PRINCIPAL] = principal
            return None
        if not self._keys.guards_requests or self._is_open(scope):
            return None
        return _make_missing_key_error(key, "a key")

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
            return True
        # The path is a setting of a platform: whatever else it leads to still needs a key.
        return path == self._health_path and scope["method"] in ("GET", "HEAD")

    def check_control(self, scope: Scope) -> None:
        """Check that a request may load and unload models.

        Args:
            scope: ASGI scope of the request, after `check`.

        Raises:
            UnauthenticatedError: if the request has no known key.
            ForbiddenError: if its key is not the admin key, or the server has no admin key.
        """
        if not self._keys.guards_control:
            raise ForbiddenError(
                "loading and unloading models needs an admin key, because models are code; "
                "this server has none"
            )
        principal: Principal | None = scope.get(_PRINCIPAL)
        if principal is None:
            raise _make_missing_key_error(_find_key(scope["headers"]), "the admin key")
        if not principal.is_admin:
            raise ForbiddenError(
                "loading and unloading models needs the admin key; the request has another key"
            )


def name_client(scope: Scope) -> str:
    """Return the name of a client: that of its key, or its address if it has no key.

    Of an IPv6 address it is the network of 64 bits.
    """
    principal: Principal | None = scope.get(_PRINCIPAL)
    if principal is not None:
        return principal.name
    address = find_address(scope)
    return _name_network(address) if ":" in address else address


def find_address(scope: Scope) -> str:
    """Return the address of a client, which a trusted proxy may have forwarded; "" for none."""
    address = scope.get("client")
    return address[0] if address else ""


@lru_cache(maxsize=4096)
def _name_network(address: str) -> str:
    """Return the network of 64 bits of an IPv6 address, or the IPv4 address that it stands for."""
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def find_key_name(scope: Scope) -> str | None:
    """Return the name of a request's key; None if it has none."""
    principal: Principal | None = scope.get(_PRINCIPAL)
    return None if principal is None else principal.name


def _find_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
    return None


def _make_missing_key_error(key: bytes | None, needed: str) -> UnauthenticatedError:
    found = "it has none" if key is None else "its key is not known"
    return UnauthenticatedError(
        f"the request needs {needed}, as Authorization: Bearer KEY or X-API-Key: KEY; {found}"
    )
