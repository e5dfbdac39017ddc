import asyncio
import queue
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from lacuna.errors import SlowBodyError
from service.listening.body_limits import BodyLimits
from service.rpc.oip_stream import answer_stream
from service.wire.dialect import RequestHead
from service.wire.oip_grpc.dialect import OipGrpcDialect
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.rpc import connect, make_infer, name_outputs, read_outputs, serve_rpc
from tests.support.runtimes import SEVEN, HeldOnSevens
from tests.support.waiting import let_pass, run_virtually, wait_until

RNG = np.random.default_rng(6)
IMAGES = RNG.integers(0, 256, (8, 1, 9, 11, 1), np.uint8)
SEVENS = np.full((1, 9, 11, 1), SEVEN, np.uint8)


@pytest.fixture
def held(tmp_path):
    """A server whose model is held up by sevens, and its gRPC address."""
    runtime = HeldOnSevens()
    services = make_services(load_repository(make_repository_folder(tmp_path), lambda _: runtime))
    with serve_rpc(services) as address:
        yield services, runtime, address
        runtime.go.set()


def make_labels(image, **fields):
    return name_outputs(make_infer(image, **fields), "labels")


def make_empty(*size, **fields):
    """Make a request that is answered without the model, because no pixel is valid."""
    image, mask = np.zeros((1, *size, 1), np.uint8), np.zeros((1, *size), bool)
    return name_outputs(make_infer(image, mask, **fields), "labels")


class Requests:
    """Requests of a stream, one by one."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def send(self, message):
        self._queue.put(message)

    def close(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)


def test_every_request_of_a_stream_is_answered_as_alone(held):
    _, _, address = held
    with connect(address) as stub:
        alone = {
            str(i): stub.call("ModelInfer", make_infer(image)) for i, image in enumerate(IMAGES)
        }
        stream = stub.find("ModelStreamInfer")
        requests = [make_infer(image, id=str(i)) for i, image in enumerate(IMAGES)]
        answers = {answer.infer_response.id: answer for answer in stream(iter(requests))}

    assert set(answers) == set(alone)
    for name, answer in answers.items():
        assert not answer.error_message
        assert answer.infer_response.parameters["triton_final_response"].bool_param
        expected = read_outputs(alone[name])
        for output, array in read_outputs(answer.infer_response).items():
            np.testing.assert_array_equal(array, expected[output])


def test_an_answer_does_not_wait_for_a_slower_one_before_it(held):
    _, runtime, address = held
    requests = Requests()
    with connect(address) as stub:
        answers = stub.find("ModelStreamInfer")(iter(requests))
        requests.send(make_labels(SEVENS, id="slow"))
        assert runtime.begun.wait(20)
        requests.send(make_empty(9, 11, id="fast"))
        first = next(answers)
        runtime.go.set()
        second = next(answers)
        requests.close()

    assert (first.infer_response.id, second.infer_response.id) == ("fast", "slow")


def test_answers_without_an_id_keep_the_order_of_their_requests(held):
    services, runtime, address = held
    requests = Requests()
    with connect(address) as stub:
        answers = stub.find("ModelStreamInfer")(iter(requests))
        requests.send(make_labels(SEVENS))
        assert runtime.begun.wait(20)
        requests.send(make_empty(5, 5))
        # The second one is answered, and waits for the first.
        assert wait_until(lambda: services.gate.pending == 1)
        runtime.go.set()
        shapes = [next(answers).infer_response.outputs[0].shape for _ in range(2)]
        requests.close()

    assert [list(shape) for shape in shapes] == [[1, 9, 11], [1, 5, 5]]


def test_a_request_that_fails_does_not_end_the_stream(held):
    _, _, address = held
    requests = [
        make_infer(IMAGES[0], id="unknown", model_name="nobody"),
        b"\xff\xff",
        make_infer(IMAGES[0], id="good"),
    ]
    with connect(address) as stub:
        answers = list(stub.find("ModelStreamInfer")(iter(requests)))

    by_id = {answer.infer_response.id: answer for answer in answers}
    assert set(by_id) == {"unknown", "", "good"}
    assert "nobody" in by_id["unknown"].error_message
    code = by_id["unknown"].infer_response.parameters["code"].string_param
    assert code == "unknown_model"
    assert by_id[""].error_message
    assert not by_id["good"].error_message


def test_a_stream_that_is_cancelled_frees_its_work(held):
    services, runtime, address = held
    requests = Requests()
    with connect(address) as stub:
        answers = stub.find("ModelStreamInfer")(iter(requests))
        requests.send(make_labels(SEVENS, id="held"))
        assert runtime.begun.wait(20)
        for _ in range(3):
            requests.send(make_labels(SEVENS, id="waiting"))
        assert wait_until(lambda: services.gate.pending == 4)
        answers.cancel()

        assert wait_until(lambda: services.gate.pending == 0)
        runtime.go.set()
        assert not stub.call("ModelInfer", make_infer(IMAGES[0])).id
        requests.close()


def test_a_stream_has_a_bounded_number_of_requests_in_flight(held):
    services, runtime, address = held
    most = 0
    with connect(address) as stub, ThreadPoolExecutor(1) as pool:
        requests = [make_labels(SEVENS, id=str(i)) for i in range(100)]
        answers = pool.submit(lambda: list(stub.find("ModelStreamInfer")(iter(requests))))
        assert wait_until(lambda: services.gate.pending == 64)
        most = services.gate.pending
        runtime.go.set()

        assert len(answers.result(60)) == 100
    assert most == 64


def test_a_drain_answers_what_a_stream_has_sent_and_ends_it(held):
    services, runtime, address = held
    requests = Requests()
    with connect(address) as stub:
        answers = stub.find("ModelStreamInfer")(iter(requests))
        requests.send(make_labels(SEVENS, id="sent"))
        assert runtime.begun.wait(20)
        services.gate.close()
        threading.Timer(0.3, runtime.go.set).start()
        assert next(answers).infer_response.id == "sent"
        with pytest.raises(grpc.RpcError) as raised:
            next(answers)
        requests.close()

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


class UnreadCall:
    """A call, and its context, whose client sends messages and never reads an answer."""

    path = "/inference.GRPCInferenceService/ModelStreamInfer"
    address, client, request_id = "", "somebody", "stream"
    head = RequestHead({}, {})

    def __init__(self, messages):
        self.messages, self.log_fields = deque(messages), {}
        self.context, self.taken, self.begun = self, asyncio.Event(), 0

    async def send_initial_metadata(self, _):
        pass

    async def read_next(self):
        if not self.messages:
            await self.wait_for_disconnect()
        return self.messages.popleft()

    async def write(self, _):
        self.begun += 1
        await self.taken.wait()

    async def wait_for_disconnect(self):
        await asyncio.Event().wait()


@pytest.fixture
def services(tmp_path):
    return make_services(load_repository(make_repository_folder(tmp_path)))


def make_wrong(count, **fields):
    """Make encoded requests that are answered with an error, because they name no known model."""
    request = make_infer(np.zeros((1, 200, 200, 1), np.uint8), model_name="nobody", **fields)
    return [request.SerializeToString() for _ in range(count)]


@pytest.mark.parametrize("fields", [{"id": "named"}, {}], ids=["named", "unnamed"])
def test_a_message_is_not_kept_while_its_answer_waits(services, fields):
    messages = make_wrong(3, **fields)
    before = [sys.getrefcount(message) for message in messages]

    async def count_references():
        call = UnreadCall(messages)
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(answer_stream(services, call, OipGrpcDialect()))
            await let_pass(1)
            assert not call.messages
            after = [sys.getrefcount(message) for message in messages]
            stream.cancel()
        return after

    assert run_virtually(count_references()) == before


def test_no_further_message_is_read_while_many_answers_wait(services):
    async def count_unread():
        call = UnreadCall(make_wrong(100, id="named"))
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(answer_stream(services, call, OipGrpcDialect()))
            await let_pass(1)
            stream.cancel()
        return len(call.messages)

    assert run_virtually(count_unread()) == 100 - 64


def test_an_answer_that_is_not_taken_in_time_ends_the_call_and_counts_until_it_is_gone(services):
    async def wait_for_end():
        call = UnreadCall(make_wrong(3, id="named"))
        with pytest.raises(SlowBodyError, match="an answer must be read within 300 s; it was not"):
            async with asyncio.timeout(1000):
                await answer_stream(services, call, OipGrpcDialect())
        ended_s = asyncio.get_running_loop().time()
        held = services.gate.memory.held_bytes
        call.taken.set()
        await let_pass(1)
        assert call.begun == 1
        return ended_s, held, services.gate.memory.held_bytes

    ended_s, held_bytes, left_bytes = run_virtually(wait_for_end())
    assert ended_s == pytest.approx(300, abs=1)
    # One answer is in gRPC. The other two were dropped.
    assert 50 < held_bytes < 500
    assert left_bytes == 0


def test_a_client_that_reads_too_late_is_told_so(tmp_path, caplog):
    caplog.set_level("INFO")
    services = make_services(
        load_repository(make_repository_folder(tmp_path)), BodyLimits(body_s=0.5)
    )
    requests = Requests()
    with serve_rpc(services) as address, connect(address, max_receive_message_length=-1) as stub:
        answers = stub.find("ModelStreamInfer")(iter(requests))
        for name in ("first", "second"):
            requests.send(make_empty(3000, 3000, id=name))
        ended = {"path": UnreadCall.path, "grpc_status": "DEADLINE_EXCEEDED"}
        assert wait_until(lambda: any(ended.items() <= vars(r).items() for r in caplog.records))
        assert services.gate.memory.held_bytes >= 9_000_000
        with pytest.raises(grpc.RpcError) as raised:
            list(answers)
        requests.close()
        assert wait_until(lambda: services.gate.memory.held_bytes == 0)

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "an answer must be read within 0.5 s" in raised.value.details()


def test_a_message_with_too_many_fields_is_refused_without_an_id(held):
    _, _, address = held
    good = make_infer(IMAGES[0], id="good")
    bomb = make_infer(IMAGES[0], id="bomb").SerializeToString() + b"\x1a\x00" * 5000
    with connect(address) as stub:
        answers = list(stub.find("ModelStreamInfer")(iter([bomb, good])))

    by_id = {answer.infer_response.id: answer for answer in answers}
    assert set(by_id) == {"", "good"}
    assert by_id[""].error_message == (
        "a ModelInferRequest must have at most 4096 fields; it has more, so its id is not known"
    )
    assert by_id[""].infer_response.parameters["code"].string_param == "malformed_request"
