"""Access to the paths of the application: which are open, and what a request's headers tell.

Every path needs a key, if keys are configured, unless it is in `OPEN_PATHS` or is a file of the
page. `service.listening.access` has the rules of keys.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from lacuna.errors import LacunaError
from service.listening.access import (
    AccessControl,
    make_missing_key_error,
    name_address,
    read_bearer,
)
from service.listening.keys import Principal

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
_OPEN_FOLDERS = ("/docs/", "/static/", "/samples/")

_PRINCIPAL = "lacuna.principal"


def check_access(
    access_control: AccessControl, scope: Scope, health_path: str | None = None
) -> LacunaError | None:
    """Check the key of a request, and store its principal in the scope.

    Args:
        access_control: known keys.
        scope: ASGI scope of the request.
        health_path: path of another health check that needs no key; None for none.

    Returns:
        None if the request is allowed, else the error to answer with.
    """
    if not access_control.has_keys:
        return None
    key = _find_key(scope["headers"])
    principal = access_control.find(key)
    if principal is not None:
        scope[_PRINCIPAL] = principal
        return None
    if not access_control.needs_keys or _is_open(scope, health_path):
        return None
    return make_missing_key_error(key)


def check_control(access_control: AccessControl, scope: Scope) -> None:
    """Check that a request may load and unload models, after `check_access`.

    Raises:
        UnauthenticatedError: if the request has no known key.
        ForbiddenError: if its key is not the admin key, or the server has no admin key.
    """
    access_control.check_control(_find_key(scope["headers"]), scope.get(_PRINCIPAL))


def name_client(scope: Scope) -> str:
    """Return the name of a client: that of its key, or its address if it has no key.

    Of an IPv6 address it is the network of 64 bits.
    """
    principal: Principal | None = scope.get(_PRINCIPAL)
    return name_address(find_address(scope)) if principal is None else principal.name


def find_address(scope: Scope) -> str:
    """Return the address of a client, which a trusted proxy may have forwarded; "" for none."""
    address = scope.get("client")
    return address[0] if address else ""


def find_key_name(scope: Scope) -> str | None:
    """Return the name of a request's key; None if it has none."""
    principal: Principal | None = scope.get(_PRINCIPAL)
    return None if principal is None else principal.name


def _is_open(scope: Scope, health_path: str | None) -> bool:
    path: str = scope["path"]
    if path in OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
        return True
    # The path is a setting of a platform: whatever else it leads to still needs a key.
    return path == health_path and scope["method"] in ("GET", "HEAD")


def _find_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization":
            key = read_bearer(value)
            if key is not None:
                return key
    return None
