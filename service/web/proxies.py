"""Reverse proxies in front of the server: addresses of clients, and the prefix of paths.

1. A proxy is trusted if its address is in `ProxyPolicy.trusted`. Its headers `X-Forwarded-For`,
   `X-Forwarded-Proto` and `X-Forwarded-Prefix` are obeyed. Those of everybody else are ignored,
   because any client can send them.
2. The client's address is the last one in `X-Forwarded-For` that is not of a trusted proxy. Each
   proxy appends the address it was called from, so earlier ones may be forged. If it is not an IP
   address, the proxy's own address stays.
3. The prefix is removed from the path if it is still there; a proxy may have removed it already.
   The rest of the application sees paths without prefix, and the prefix as `root_path`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from service.listening.forwarding import TrustedProxies

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,100}){1,10}")
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True)
class ProxyPolicy:
    """Proxies in front of the server.

    Attributes:
        trusted: addresses and networks of the proxies whose headers are obeyed.
        root_path: prefix of all paths, such as `/lacuna`, as clients see them; empty for none.
    """

    trusted: tuple[str, ...] = ()
    root_path: str = ""

    @property
    def is_needed(self) -> bool:
        """True if a proxy changes anything that the server knows of."""
        return bool(self.trusted or self.root_path)


class ProxyLayer:
    """Outermost layer of an application behind reverse proxies.

    Args:
        app: application inside this layer.
        policy: proxies in front of the server.
        own: first segments of the application's paths. A prefix that begins with one of them is
            ignored, because it could not be told from a path.
    """

    def __init__(self, app: ASGIApp, policy: ProxyPolicy, own: AbstractSet[str]) -> None:
        self._app = app
        self._root_path = policy.root_path
        self._own = own
        self._proxies = TrustedProxies(policy.trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            self._undo(scope)
        await self._app(scope, receive, send)

    def _undo(self, scope: Scope) -> None:
        """Put the client's address, scheme and path in place of those that the proxy has made."""
        peer, root_path = scope["client"], self._root_path
        if peer is not None and self._proxies.trust(peer[0]):
            client = self._proxies.find_client(peer[0], _list_values(scope, b"x-forwarded-for"))
            if client != peer[0]:
                scope["client"] = (client, 0)
            schemes = _list_values(scope, b"x-forwarded-proto")
            if schemes and schemes[-1].strip() in _SCHEMES:
                scope["scheme"] = schemes[-1].strip()
            root_path = self._find_prefix(scope) or root_path
        _remove_prefix(scope, root_path)

    def _find_prefix(self, scope: Scope) -> str | None:
        """Return the prefix that a proxy has sent; None if it sent none that can be used."""
        given = _list_values(scope, b"x-forwarded-prefix")
        try:
            return read_prefix(given[-1], self._own) if given else None
        except ValueError:
            return None


def read_prefix(text: str, own: AbstractSet[str] = frozenset()) -> str:
    """Read the prefix of paths.

    Args:
        text: prefix, such as `/lacuna` or `/tools/lacuna/`; empty or `/` for none.
        own: first segments of the application's paths.

    Returns:
        The prefix without a slash at its end.

    Raises:
        ValueError: if it is malformed, or begins with one of the application's paths.
    """
    prefix = text.strip().rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "a prefix of paths must be segments of letters, digits, dots, dashes, _ and ~, each "
            f"after a slash, as in /tools/lacuna; it is {text[:100]!r}"
        )
    if prefix and prefix.split("/")[1] in own:
        raise ValueError(
            f"a prefix of paths must not begin with {', '.join(sorted(own))}, which are paths of "
            f"the server; it is {prefix}"
        )
    return prefix


def check_proxy(text: str) -> str:
    """Check the address or network of a proxy.

    Raises:
        ValueError: if it is neither, or holds all addresses.
    """
    network = ipaddress.ip_network(text)
    if not network.prefixlen:
        raise ValueError(f"must not hold all addresses, or every client is trusted; it is {text}")
    return text


def _list_values(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


def _remove_prefix(scope: Scope, prefix: str) -> None:
    if not prefix:
        return
    path: str = scope["path"]
    if path == prefix:
        scope["path"] = "/"
    elif path.startswith(f"{prefix}/"):
        scope["path"] = path[len(prefix) :]
    # Routing removes a root path by itself, and would do so a second time.
    scope["root_path"] = "" if scope["path"].startswith(prefix) else prefix
