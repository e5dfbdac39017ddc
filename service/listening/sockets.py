"""Listening sockets, opened before any model is loaded, so that a taken port ends the start."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

from lacuna.errors import ConfigurationError

_BACKLOG = 2048

# A machine may know an address of a name, such as ::1 of localhost, without having it.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_EXPLANATIONS = {
    errno.EADDRINUSE: "the port must be free; port {port} of {host} is in use: end the process "
    "that listens there, or choose another port with {setting}",
    errno.EACCES: "the port must be one that the server's user may open; port {port} is not: "
    "choose one of 1024 or more with {setting}",
    errno.EADDRNOTAVAIL: "LACUNA_HOST must be an address of this machine; {host} is not: choose "
    "0.0.0.0 for all of its addresses",
}
_EXPLANATION = "port {port} of {host} must open; {reason}: choose another with {setting}"


def open_listeners(host: str, port: int, setting: str) -> list[socket.socket]:
    """Open a listening socket for each address of a host.

    Args:
        host: Address or name of this machine; empty for all addresses.
        port: Port; 0 for any free one.
        setting: Setting of the port, for the message of an error.

    Raises:
        ConfigurationError: if the port cannot be opened on an address, or none is of this machine.
    """
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    with ExitStack() as opened:
        for family, address in _find_addresses(host, port):
            try:
                listener = socket.create_server(address, family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise _make_error(error, host, port, setting) from None
                absent = error
            else:
                sockets.append(opened.enter_context(listener))
        if absent is not None and not sockets:
            raise _make_error(absent, host, port, setting) from None
        opened.pop_all()
    return sockets


def _find_addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError(
            f"LACUNA_HOST must be an address or a name of this machine; {host} is not"
        ) from None
    # Of an IPv6 address, flow and scope come third and fourth.
    return [(family, (str(at[0]), int(at[1]), *at[2:])) for family, _, _, _, at in found]


def _make_error(error: OSError, host: str, port: int, setting: str) -> ConfigurationError:
    number = error.errno or 0
    explanation = _EXPLANATIONS.get(number, _EXPLANATION)
    return ConfigurationError(
        explanation.format(host=host, port=port, setting=setting, reason=os.strerror(number))
    )
