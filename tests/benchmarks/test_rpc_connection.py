"""The lean client of gRPC, against the real server."""

import asyncio

import grpc
import numpy as np
import pytest

from benchmarks.rpc_connection import CallFailedError, PreparedCall, RpcConnection
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.rpc import OIP, make_infer, serve_rpc

INFER = f"/{OIP}/ModelInfer"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_rpc(make_services(load_repository(folder))) as address:
        yield address


def call_in_turn(address, messages, path=INFER):
    """Make calls over one connection, and return the answers."""
    host, _, port = address.partition(":")

    async def call():
        connection = await RpcConnection.open(host, int(port), path)
        try:
            return [await connection.call(PreparedCall(message)) for message in messages]
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(call(), 60))


def encode(side, value):
    return make_infer(np.full((1, side, side, 1), value, np.uint8)).SerializeToString()


# Within a frame; in several; beyond the window of a stream; beyond that of the connection in sum.
@pytest.mark.parametrize("sides", [[8], [64] * 40, [400], [100, 200, 300, 400] * 3])
def test_answers_are_those_that_the_stock_client_gets(address, sides):
    messages = [encode(side, number) for number, side in enumerate(sides)]
    with grpc.insecure_channel(address) as channel:
        wanted = [channel.unary_unary(INFER)(message, timeout=30) for message in messages]

    assert call_in_turn(address, messages) == wanted


def test_a_status_other_than_ok_is_an_error(address):
    with pytest.raises(CallFailedError, match=r"must end with the status 0; it has .*grpc-status"):
        call_in_turn(address, [b"\xff"])


def test_an_unknown_method_is_an_error(address):
    with pytest.raises(CallFailedError, match="must end with the status 0"):
        call_in_turn(address, [b""], "/no.Service/Method")


def test_a_server_that_ends_the_connection_is_an_error():
    async def end(_, writer):
        writer.close()
        await writer.wait_closed()

    async def call():
        async with await asyncio.start_server(end, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = await RpcConnection.open("127.0.0.1", port, INFER)
            try:
                await connection.call(PreparedCall(b""))
            finally:
                await connection.close()

    with pytest.raises(ConnectionError):
        asyncio.run(asyncio.wait_for(call(), 30))


def test_a_path_that_is_too_long_for_its_encoding_is_refused(address):
    with pytest.raises(ValueError, match="a field must have less than 127 bytes"):
        call_in_turn(address, [b""], "/" + "a" * 126)
