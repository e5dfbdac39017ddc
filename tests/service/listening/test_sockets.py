"""Ports are opened before anything else, and a port that cannot be says what to do."""

import socket

import pytest

from lacuna.errors import ConfigurationError
from service.listening.sockets import open_listeners

ELSEWHERE = "192.0.2.1"  # set aside for documentation (RFC 5737): no machine has it


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


def close(sockets):
    for opened in sockets:
        opened.close()


def test_a_port_listens_at_once():
    (listener,) = open_listeners("127.0.0.1", 0, "LACUNA_PORT")
    port = listener.getsockname()[1]

    with socket.create_connection(("127.0.0.1", port), 10):
        close([listener])


def test_a_port_that_was_used_a_moment_ago_is_free():
    (first,) = open_listeners("127.0.0.1", 0, "LACUNA_PORT")
    port = first.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        served, _ = first.accept()
        served.close()  # the side that closes first keeps the port for a minute
        assert client.recv(1) == b""
    close([first])

    close(open_listeners("127.0.0.1", port, "LACUNA_PORT"))


def test_a_taken_port_says_what_to_do(taken):
    with pytest.raises(ConfigurationError) as caught:
        open_listeners("127.0.0.1", taken, "LACUNA_PORT or --port")

    assert caught.value.message == (
        f"the port must be free; port {taken} of 127.0.0.1 is in use: end the process that listens "
        "there, or choose another port with LACUNA_PORT or --port"
    )


@pytest.mark.parametrize("host", [ELSEWHERE, "no.such.host.invalid", "a..b", "x" * 300])
def test_a_host_that_is_not_this_machine_is_named(host):
    with pytest.raises(ConfigurationError, match="LACUNA_HOST must be an address") as caught:
        open_listeners(host, 0, "LACUNA_PORT")
    assert host in caught.value.message


def test_all_addresses_are_listened_on():
    sockets = open_listeners("", 0, "LACUNA_PORT")

    assert "0.0.0.0" in {opened.getsockname()[0] for opened in sockets}  # noqa: S104
    close(sockets)


def test_if_one_of_several_addresses_is_taken_none_is_kept(taken):
    with pytest.raises(ConfigurationError, match="is in use"):
        open_listeners("", taken, "LACUNA_PORT")

    # Had a socket been kept, ::1 would be in use.
    if socket.has_ipv6:
        for opened in socket.getaddrinfo(None, taken, socket.AF_INET6, socket.SOCK_STREAM):
            socket.create_server(opened[4][:2], family=socket.AF_INET6).close()
