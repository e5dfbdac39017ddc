"""The exchange answers what any listener hands it, without a web framework."""

import asyncio
import contextlib
import gc
import gzip
import json
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from lacuna.errors import (
    BodyTooLargeError,
    DeadlineExceededError,
    ImageTooLargeError,
    InvalidImageError,
    OverloadedError,
    UnknownModelError,
    UnsupportedMediaTypeError,
)
from lacuna.raster.npy import read_npy, write_npy
from service.core.admission import AdmissionPolicy
from service.engine.memory import MemoryBudget
from service.engine.threads import SharedThreads
from service.listening.body_limits import BodyLimits
from service.pipeline import Pipeline
from service.wire.dialect import ModelTarget
from service.wire.native.dialect import NativeDialect
from service.wire.oip.dialect import OipDialect
from service.wire.tfserving.dialect import TfServingDialect
from tests.support.apps import encode_image, load_repository, make_repository_folder, make_services
from tests.support.incoming import DirectRequest
from tests.support.runtimes import Gated
from tests.support.waiting import let_others_run, wait_until

IMAGE = np.array([[0, 90], [180, 250]], np.uint8)
NPY = {"accept": "application/x-npy"}
ROWS = json.dumps({"instances": [{"image": IMAGE.tolist()}], "signature_name": "labels"}).encode()
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1], "data": [0, 90, 180, 250]}
INFER = json.dumps({"inputs": [TENSOR]}).encode()
FAKE = ModelTarget("fake")
MiB = 1 << 20


def use_threads(exchange, threads):
    """Return the same exchange with threads of its own."""
    return replace(exchange, intake=replace(exchange.intake, threads=threads))


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    folder = make_repository_folder(tmp_path_factory.mktemp("repository"))
    services = make_services(load_repository(folder))
    yield services.exchange
    services.exchange.pipeline.segmenter.close()


def answer(exchange, dialect, request):
    return asyncio.run(exchange.answer(request, dialect(exchange.image_limits)))


def test_every_dialect_gives_the_same_labels(exchange):
    native = answer(exchange, NativeDialect, DirectRequest(write_npy(IMAGE), NPY))
    oip = answer(exchange, OipDialect, DirectRequest(INFER, target=FAKE))
    tfserving = answer(exchange, TfServingDialect, DirectRequest(ROWS, target=FAKE))

    labels = read_npy(native.content).tolist()
    assert json.loads(tfserving.content)["predictions"] == [labels]
    assert json.loads(oip.content)["outputs"][0]["data"] == np.ravel(labels).tolist()


@pytest.mark.parametrize(
    ("dialect", "body", "target"),
    [
        (NativeDialect, write_npy(IMAGE), None),
        (OipDialect, INFER, FAKE),
        (TfServingDialect, ROWS, FAKE),
    ],
)
def test_every_dialect_takes_compressed_bodies(exchange, dialect, body, target):
    plain = answer(exchange, dialect, DirectRequest(body, NPY, target=target))
    headers = NPY | {"content-encoding": "gzip"}
    coded = DirectRequest(gzip.compress(body, mtime=0), headers, target=target)

    assert answer(exchange, dialect, coded).content == plain.content


class CountedThreads(SharedThreads):
    """Threads that count what is run on them."""

    def __init__(self):
        super().__init__()
        self.trips = 0

    async def run(self, client, work):
        self.trips += 1
        return await super().run(client, work)


def count_trips(exchange, dialect, request):
    threads = CountedThreads()
    reply = answer(use_threads(exchange, threads), dialect, request)
    if reply.release is not None:
        reply.release()
    return threads.trips


SQUARE = np.zeros((512, 512), np.uint8)
LARGE = write_npy(SQUARE)
RAW = json.dumps(
    {
        "inputs": [
            {
                "name": "image",
                "datatype": "UINT8",
                "shape": [1, 512, 512, 1],
                "parameters": {"binary_data_size": SQUARE.nbytes},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
).encode()
RAW_HEADERS = {"inference-header-content-length": str(len(RAW))}


@pytest.mark.parametrize(
    ("dialect", "request_"),
    [
        (NativeDialect, DirectRequest(write_npy(SQUARE), NPY)),
        (OipDialect, DirectRequest(RAW + SQUARE.tobytes(), RAW_HEADERS, target=FAKE)),
    ],
)
def test_an_array_goes_to_a_thread_only_to_be_decoded_and_rendered(exchange, dialect, request_):
    # Each trip costs more than parsing what is not copied, and measuring what is an array.
    assert count_trips(exchange, dialect, request_) == 2


def test_a_large_json_is_estimated_and_parsed_on_threads(exchange):
    body = json.dumps({"image": SQUARE.tolist()}).encode()
    request = DirectRequest(body, NPY | {"content-type": "application/json"})

    assert len(body) > 256 * 1024
    assert count_trips(exchange, NativeDialect, request) == 5


def test_small_arrays_never_go_to_a_thread(exchange):
    assert count_trips(exchange, NativeDialect, DirectRequest(write_npy(IMAGE), NPY)) == 0


@pytest.mark.parametrize(
    ("media_type", "is_coded"), [("application/x-npy", True), ("image/png", False)]
)
def test_labels_are_compressed_on_request_and_pictures_are_not(exchange, media_type, is_coded):
    body = write_npy(np.zeros((64, 64), np.uint8))
    headers = {"accept": media_type}
    plain = answer(exchange, NativeDialect, DirectRequest(body, headers))

    coded = answer(
        exchange, NativeDialect, DirectRequest(body, headers | {"accept-encoding": "gzip"})
    )

    assert ("Content-Encoding" in coded.headers) == is_coded
    content = gzip.decompress(coded.content) if is_coded else coded.content
    assert content == plain.content


@pytest.mark.parametrize("dialect", [NativeDialect, OipDialect, TfServingDialect])
def test_no_dialect_takes_a_coding_that_is_not_known(exchange, dialect):
    request = DirectRequest(b"x", {"content-encoding": "br"}, target=FAKE)

    with pytest.raises(UnsupportedMediaTypeError, match="gzip, deflate; it is br"):
        answer(exchange, dialect, request)


def test_a_body_that_unfolds_beyond_the_limit_is_refused(exchange):
    bomb = gzip.compress(bytes(exchange.intake.body_bytes + 1), mtime=0)

    with pytest.raises(BodyTooLargeError, match="the decompressed body must have"):
        answer(exchange, NativeDialect, DirectRequest(bomb, {"content-encoding": "gzip"}))


def test_a_body_that_announces_too_much_is_refused_for_good_whatever_the_load_is(tmp_path):
    exchange = make_exchange(
        tmp_path,
        body_limits=BodyLimits(body_bytes=1000),
        admission=AdmissionPolicy(max_pending_bytes=1000),
    )

    with (
        exchange.intake.gate.reserve(1),
        pytest.raises(BodyTooLargeError, match="at most 1000 bytes; 1001 bytes are declared"),
    ):
        answer(exchange, NativeDialect, DirectRequest(bytes(1001), NPY))
    exchange.pipeline.segmenter.close()


@pytest.mark.parametrize(
    ("side", "body", "steps"),
    [
        (20, write_npy, ["segment"]),
        (200, write_npy, ["room", "segment"]),
        (200, encode_image, ["room", "segment"]),
    ],
    ids=["small", "huge", "huge once it is decoded"],
)
def test_free_memory_is_given_back_when_huge_images_are_decoded(exchange, side, body, steps):
    found = []

    class Watched(Pipeline):
        async def segment(self, *arguments):
            found.append("segment")
            return await super().segment(*arguments)

    watched = replace(
        exchange,
        pipeline=Watched(exchange.pipeline.segmenter),
        return_free=lambda: found.append("room"),
        huge_bytes=200**2,
    )
    request = DirectRequest(body(np.zeros((side, side), np.uint8)), NPY)

    expected = answer(exchange, NativeDialect, request).content
    assert answer(watched, NativeDialect, request).content == expected
    assert found == steps


def test_a_model_that_the_path_names_is_looked_for_before_the_body_is_read(exchange):
    request = DirectRequest(b"{", target=ModelTarget("other"))

    with pytest.raises(UnknownModelError):
        answer(exchange, OipDialect, request)


def test_the_facts_of_a_request_are_told_to_the_log_and_the_caller(exchange):
    request = DirectRequest(write_npy(IMAGE), NPY)

    reply = answer(exchange, NativeDialect, request)

    stages = {"decode_ms", "queue_ms", "infer_ms", "encode_ms"}
    counts = {"received_bytes", "height", "width", "valid_pixels", "computed_pixels"}
    assert set(request.fields) == {"model", "version"} | counts | stages
    assert request.fields["valid_pixels"] == 4
    assert reply.headers["Lacuna-Computed-Pixels"] == str(request.fields["computed_pixels"])
    assert reply.headers["Server-Timing"].startswith("decode;dur=")


def test_a_request_whose_time_is_shorter_than_the_queue_is_refused_at_once(tmp_path):
    runtime = Gated()
    runtime.go.set()
    repository = load_repository(make_repository_folder(tmp_path), lambda _: runtime)
    exchange = make_services(repository).exchange
    runtime.go.clear(), runtime.begun.clear()

    async def scenario():
        dialect = NativeDialect(exchange.image_limits)

        def ask():
            return asyncio.create_task(
                exchange.answer(DirectRequest(write_npy(IMAGE), NPY), dialect)
            )

        tasks = [ask()]
        await asyncio.to_thread(runtime.begun.wait, 30)
        tasks.append(ask())
        await let_others_run()  # one turn of the loop: it is in the queue
        hurried = DirectRequest(write_npy(IMAGE), NPY, {"timeout_s": "1e-6"})
        with pytest.raises(OverloadedError, match="at most the timeout of 1e-06 s") as caught:
            await exchange.answer(hurried, dialect)
        runtime.go.set()
        await asyncio.gather(*tasks)
        return caught.value

    error = asyncio.run(scenario())
    exchange.pipeline.segmenter.close()
    assert error.reason == "deadline"
    assert error.retry_after_s >= 1


async def end_by_timeout(exchange):
    """Ask with a short time, and check that nothing is counted for the request afterwards."""
    gate = exchange.intake.gate
    before = gate.pending, gate.memory.held_bytes
    request = DirectRequest(LARGE, NPY, {"timeout_s": "0.05"})
    with pytest.raises(
        DeadlineExceededError, match=r"0\.05 s were over before the end of decoding"
    ):
        await exchange.answer(request, NativeDialect(exchange.image_limits))
    assert (gate.pending, gate.memory.held_bytes) == before


async def answer_large(exchange):
    """Answer a request that has enough time."""
    request = DirectRequest(LARGE, NPY, {"timeout_s": "30"})
    reply = await exchange.answer(request, NativeDialect(exchange.image_limits))
    reply.release()


def test_a_timeout_ends_the_wait_for_memory(tmp_path):
    exchange = make_exchange(tmp_path, memory=MemoryBudget(12 * MiB))

    async def scenario():
        with exchange.intake.gate.reserve(0, "another") as other:
            await other.hold(exchange.intake.gate.memory.pool.total_bytes)
            await end_by_timeout(exchange)
        await answer_large(exchange)

    asyncio.run(scenario())
    exchange.pipeline.segmenter.close()


def test_a_timeout_ends_the_wait_for_a_thread(exchange):
    threads = SharedThreads(threads=1)
    busy = use_threads(exchange, threads)

    async def scenario():
        go = threading.Event()
        running = asyncio.create_task(threads.run("another", lambda: go.wait(30)))
        await let_others_run()
        try:
            await end_by_timeout(busy)
        finally:
            go.set()
        assert await running
        await answer_large(busy)

    asyncio.run(scenario())


class HeldThreads(SharedThreads):
    """One thread whose first work ends only once it is let."""

    def __init__(self):
        super().__init__(threads=1)
        self.begun, self.go = threading.Event(), threading.Event()

    async def run(self, client, work):
        def hold():
            self.begun.set()
            assert self.go.wait(30)
            return work()

        return await super().run(client, hold)


def test_an_image_that_is_being_decoded_when_its_time_is_over_holds_its_memory_until_the_end(
    exchange,
):
    threads = HeldThreads()
    slow = use_threads(exchange, threads)

    async def scenario():
        answering = asyncio.create_task(end_by_timeout(slow))
        await asyncio.to_thread(threads.begun.wait, 30)
        await asyncio.wait([answering], timeout=0.2)
        during = answering.done(), exchange.intake.gate.memory.held_bytes > 0
        threads.go.set()
        await answering
        await answer_large(slow)
        return during

    assert asyncio.run(scenario()) == (False, True)


def make_exchange(folder, **options):
    return make_services(load_repository(make_repository_folder(folder)), **options).exchange


def test_an_image_that_needs_more_memory_than_there_is_is_refused_before_it_is_decoded(tmp_path):
    exchange = make_exchange(tmp_path, memory=MemoryBudget(12 * MiB))
    # Only its header is there: decoding it would find it damaged.
    header = encode_image(np.zeros((2000, 2000), np.uint8))[:100]

    with pytest.raises(ImageTooLargeError, match="7340032 bytes of memory; they need"):
        answer(exchange, NativeDialect, DirectRequest(header, NPY))
    assert exchange.intake.gate.memory.held_bytes == 0
    exchange.pipeline.segmenter.close()


def test_numbers_in_json_are_counted_before_they_become_objects(tmp_path):
    exchange = make_exchange(tmp_path, memory=MemoryBudget(12 * MiB))
    rows = [[0] * 500] * 500
    body = json.dumps({"instances": [{"image": rows}]}).encode()

    with pytest.raises(ImageTooLargeError, match="bytes of memory"):
        answer(exchange, TfServingDialect, DirectRequest(body, target=FAKE))
    exchange.pipeline.segmenter.close()


def test_a_body_that_could_unfold_to_more_than_there_is_is_not_unfolded(tmp_path):
    exchange = make_exchange(tmp_path, memory=MemoryBudget(12 * MiB))
    body = gzip.compress(bytes(8 * MiB), mtime=0)

    with pytest.raises(ImageTooLargeError, match="bytes of memory"):
        answer(exchange, NativeDialect, DirectRequest(body, {"content-encoding": "gzip"}))
    exchange.pipeline.segmenter.close()


def test_nothing_is_held_after_an_answer_or_a_failure(exchange):
    answer(exchange, NativeDialect, DirectRequest(write_npy(IMAGE), NPY))
    with pytest.raises(InvalidImageError):
        answer(exchange, NativeDialect, DirectRequest(encode_image(IMAGE)[:-20], NPY))

    assert exchange.intake.gate.memory.held_bytes == 0
    assert exchange.intake.gate.pending == 0


def test_the_memory_of_a_large_answer_is_held_until_it_was_sent(exchange):
    reply = answer(
        exchange, NativeDialect, DirectRequest(write_npy(np.zeros((600, 600), "u1")), NPY)
    )

    assert reply.release is not None
    assert exchange.intake.gate.memory.held_bytes == len(reply.content)
    reply.release()
    assert exchange.intake.gate.memory.held_bytes == 0


class Watched(bytearray):
    """Body that can be referred to weakly."""


async def send_refused(exchange, body_bytes):
    """Send a body that is no image, and return whether it is still in memory afterwards."""
    body = Watched(body_bytes)
    watched = weakref.ref(body)
    request = DirectRequest(body, {"content-type": "image/png"})
    with contextlib.suppress(InvalidImageError):
        await exchange.answer(request, NativeDialect(exchange.image_limits))
    del body, request
    await let_others_run()
    # A thread that decoded it lets it go a moment after the loop has heard of its end.
    return not wait_until(lambda: watched() is None)


@pytest.mark.parametrize("body_bytes", [1000, 400_000])
def test_a_body_that_is_refused_is_freed_with_its_answer_and_waits_for_no_collector(
    exchange, body_bytes
):
    gc.disable()
    try:
        assert not asyncio.run(send_refused(exchange, body_bytes))
    finally:
        gc.enable()
