"""Who may ask for what.

1. Without keys everybody may ask for everything but the loading and unloading of models.
2. With keys, every path needs one but those in `OPEN_PATHS`, which orchestrators, Prometheus and
   people without a key must reach, and the page's own files; a path that nobody thought of needs
   one.
3. Models are loaded and unloaded with the admin key, and by nobody where there is none.
4. A key is told apart from others by its name, a client without one by its address.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from lacuna.errors import ForbiddenError, LacunaError, UnauthenticatedError
from service.web.keys import Caller, KeyRing

OPEN_PATHS = frozenset(
    {
        "/livez",
        "/readyz",
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

_CALLER = "lacuna.caller"

_BEARER = b"bearer "


class Access:
    """Decides who may ask for what.

    Args:
        keys: that are known.
    """

    def __init__(self, keys: KeyRing | None = None) -> None:
        self._keys = keys or KeyRing()
        self._has_keys = self._keys.guards_requests or self._keys.guards_control

    @property
    def needs_keys(self) -> bool:
        """Whether requests need one."""
        return self._keys.guards_requests

    def check(self, scope: Scope) -> LacunaError | None:
        """Look at a request's key, and remember whose it is.

        Args:
            scope: of ASGI.

        Returns:
            None if the request may be answered, else why not.
        """
        if not self._has_keys:
            return None
        key = _find_key(scope["headers"])
        caller = None if key is None else self._keys.find(key)
        if caller is not None:
            scope[_CALLER] = caller
            return None
        path: str = scope["path"]
        if not self._keys.guards_requests or path in OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
            return None
        return _ask_for_key(key, "a key")

    def check_control(self, scope: Scope) -> None:
        """See that a request may load and unload models.

        Args:
            scope: of ASGI, that was checked.

        Raises:
            UnauthenticatedError: if it has no key that is known.
            ForbiddenError: if its key is not the admin's, or the server has none.
        """
        if not self._keys.guards_control:
            raise ForbiddenError(
                "loading and unloading must be allowed by an admin key, since models are code; "
                "this server has none"
            )
        caller: Caller | None = scope.get(_CALLER)
        if caller is None:
            raise _ask_for_key(_find_key(scope["headers"]), "the admin key")
        if not caller.is_admin:
            raise ForbiddenError(
                "loading and unloading must be asked for with the admin key; this is another"
            )


def name_client(scope: Scope) -> str:
    """Tell clients apart: by key, or by address where there is none."""
    caller: Caller | None = scope.get(_CALLER)
    if caller is not None:
        return caller.name
    address = scope.get("client")
    return address[0] if address else ""


def find_key_name(scope: Scope) -> str | None:
    """Give the name of the key that came with a request."""
    caller: Caller | None = scope.get(_CALLER)
    return None if caller is None else caller.name


def _find_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
    return None


def _ask_for_key(key: bytes | None, needed: str) -> UnauthenticatedError:
    came = "none came" if key is None else "the one that came is not known"
    return UnauthenticatedError(
        f"{needed} must come as Authorization: Bearer KEY or X-API-Key: KEY; {came}"
    )
