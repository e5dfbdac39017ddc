"""Addresses of clients, as trusted reverse proxies forward them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

_WITH_PORT = re.compile(r"\[(?P<six>[^\]]*)\](?::\d+)?|(?P<four>[^:]*):\d+")
"""`[IPv6]`, `[IPv6]:port` or `IPv4:port`."""


class TrustedProxies:
    """Reverse proxies whose word is taken for a client's address.

    Args:
        trusted: addresses and networks of the proxies.

    Raises:
        ValueError: if one of them is neither.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(text) for text in trusted]
        self._trust = lru_cache(maxsize=4096)(self._find)

    def trust(self, address: str) -> bool:
        """Return True if an address is that of a trusted proxy."""
        return bool(self._networks) and self._trust(address)

    def find_client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the address of a client.

        Args:
            peer: address that the connection came from; empty if it is not known.
            forwarded: values of `X-Forwarded-For`, in order. Each proxy appends the address that it
                was called from, so earlier ones may be forged.

        Returns:
            The last address in `forwarded` that is not of a trusted proxy; the first one if all
            are. The peer's own if it is not trusted, or what was forwarded is no IP address.
        """
        if not forwarded or not self.trust(peer):
            return peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops):
            address = _read_address(hop)
            if address is None or not self.trust(address):
                return address or peer
        return _read_address(hops[0]) or peer

    def _find(self, text: str) -> bool:
        address = _read_address(text)
        if address is None:
            return False
        found = ipaddress.ip_address(address)
        return any(found in network for network in self._networks)


def _read_address(text: str) -> str | None:
    """Return an IP address in its usual form, without a port; None if it is none."""
    match = _WITH_PORT.fullmatch(text)
    bare = match and (match["six"] or match["four"])
    try:
        address = ipaddress.ip_address(bare or text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
