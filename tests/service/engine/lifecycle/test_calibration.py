import asyncio
import json
import math

import numpy as np
import pytest

from service.core.cost import BatchCost
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.preparation import Preparation
from service.engine.lifecycle.warmup import WarmupPolicy
from service.engine.process_memory import ProcessMemory, watch_memory
from service.engine.served import UNCALIBRATED
from service.engine.thread_allocation import ThreadAllocation
from service.runtime.contract.report import Check, ContractReport
from service.runtime.precision import Agreement
from service.runtime.seams import Seams
from tests.support.runtimes import Recording
from tests.support.waiting import wait_until

FOUND = Calibration(
    ContractReport(
        (Check("canvas", True, "0 of 9 differ"), Check("radius", False, "51")),
        Seams(16, 3, 900, 0.125),
    ),
    BatchCost(3e-4, 5e-7),
    pixel_bytes=730.5,
    agreement=(Agreement("random", 9, 1, 0.25), Agreement("samples", 7, 0, 0.0)),
)
ALLOCATION = ThreadAllocation(2, 1)
WARMUP = WarmupPolicy(pixels=64)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model" / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    return folder


def test_what_was_written_is_read_again(tmp_path):
    CalibrationStore(tmp_path / "cache").write("abc", FOUND)

    assert CalibrationStore(tmp_path / "cache").read("abc") == FOUND
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["abc.json"]


def test_of_another_key_nothing_is_known(tmp_path):
    CalibrationStore(tmp_path).write("abc", FOUND)

    assert CalibrationStore(tmp_path).read("abd") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "[" * 10**5, '{"contract": [{"x": 1}], "cost": {}}']
)
def test_a_damaged_file_counts_as_none(tmp_path, text, caplog):
    (tmp_path / "abc.json").write_text(text)

    assert CalibrationStore(tmp_path).read("abc") is None
    assert "measured again" in caplog.text


GOOD_COST = {"call_s": 3e-4, "pixel_s": 5e-7}
GOOD_CHECK = {"name": "canvas", "passed": True, "detail": "0 of 9 differ"}
GOOD = {"contract": [GOOD_CHECK], "cost": GOOD_COST, "pixel_bytes": 730.5}


@pytest.mark.parametrize(
    "bad",
    [
        {"contract": []},
        {"contract": [GOOD_CHECK | {"passed": "false"}]},
        {"contract": [GOOD_CHECK | {"passed": 1}]},
        {"cost": GOOD_COST | {"pixel_s": 0}},
        {"cost": GOOD_COST | {"call_s": "3e-4"}},
        {"cost": GOOD_COST | {"call_s": math.nan}},
        {"seams": {"overlap": 16}},
        {"seams": {"overlap": "16", "differing": 3, "pixels": 900, "shift": 0.125}},
        {"pixel_bytes": -1},
        {"pixel_bytes": "730"},
        {"pixel_bytes": math.inf},
        {"pixel_bytes": math.nan},
    ],
)
def test_a_calibration_that_cannot_be_counts_as_none(tmp_path, bad):
    (tmp_path / "abc.json").write_text(json.dumps(GOOD | bad))

    assert CalibrationStore(tmp_path).read("abc") is None


def test_a_good_calibration_is_read(tmp_path):
    (tmp_path / "abc.json").write_text(json.dumps(GOOD))

    found = CalibrationStore(tmp_path).read("abc")

    assert found.contract.holds
    assert found.pixel_bytes == 730.5


def test_an_agreement_that_cannot_be_counts_as_none(tmp_path):
    (tmp_path / "abc.json").write_text(json.dumps(GOOD | {"agreement": [{"pixels": 1}]}))

    assert CalibrationStore(tmp_path).read("abc") is None


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_file_that_is_overwritten_counts_as_none(tmp_path, byte):
    store = CalibrationStore(tmp_path)
    store.write("abc", FOUND)
    size = (tmp_path / "abc.json").stat().st_size
    (tmp_path / "abc.json").write_bytes(bytes([byte]) * size)

    assert store.read("abc") is None


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = CalibrationStore(tmp_path / "file")
    store.write("abc", FOUND)

    assert (tmp_path / "file").read_text() == "not a folder"


def test_without_a_folder_nothing_is_kept():
    CalibrationStore(None).write("abc", FOUND)

    assert CalibrationStore(None).read("abc") is None


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/data", "variables/more"])
def test_any_change_of_the_model_changes_the_key(model, name):
    store = CalibrationStore(allocation=ALLOCATION)
    before = store.compute_key(model)
    assert CalibrationStore(allocation=ALLOCATION).compute_key(model) == before

    (model / name).write_bytes(b"changed")

    assert store.compute_key(model) != before


def test_another_layout_is_another_key(model):
    other = CalibrationStore(allocation=ThreadAllocation(1, 2))

    assert CalibrationStore(allocation=ALLOCATION).compute_key(model) != other.compute_key(model)


def test_another_precision_is_another_key(model):
    store = CalibrationStore(allocation=ALLOCATION)

    assert store.compute_key(model) == store.compute_key(model, "float32")
    assert store.compute_key(model) != store.compute_key(model, "bfloat16")


def test_a_model_that_was_calibrated_before_is_neither_checked_nor_timed_again(tmp_path, model):
    runtimes = []

    def load(_):
        runtimes.append(Recording())
        return runtimes[-1]

    for _ in range(2):
        store = CalibrationStore(tmp_path / "cache")
        preparation = Preparation(model.parents[1], load, WarmupPolicy(pixels=64), store)
        cost = preparation.prepare("model", "1", lambda done, total: None).cost

    first, second = (len(runtime.shapes) for runtime in runtimes)
    assert second < first / 3
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert cost == CalibrationStore(tmp_path / "cache").read(store.compute_key(model)).cost


def prepare(model, cache, warmup=None, runtime=None):
    """Prepare a model, and return it with the shapes of the calls."""
    runtime = runtime or Recording()
    preparation = Preparation(model.parents[1], lambda _: runtime, warmup, CalibrationStore(cache))
    served = preparation.prepare("model", "1", lambda done, total: None)
    return served, runtime.shapes


def test_without_a_warm_up_a_model_that_was_checked_before_is_not_run(tmp_path, model):
    _, first = prepare(model, tmp_path / "cache")
    _, second = prepare(model, tmp_path / "cache")

    assert first
    assert second == []


def test_a_model_that_was_only_checked_is_timed_but_not_checked_again(tmp_path, model):
    checked, check = prepare(model, tmp_path / "cache")
    timed, rest = prepare(model, tmp_path / "cache", WARMUP)
    _, all_of_it = prepare(model, tmp_path / "empty", WARMUP)

    assert checked.cost == UNCALIBRATED != timed.cost
    assert len(rest) == len(all_of_it) - len(check)
    (file,) = (tmp_path / "cache").iterdir()
    assert CalibrationStore(tmp_path / "cache").read(file.stem).cost == timed.cost


class Dimmed(Recording):
    """Is less sure on a large canvas."""

    def run(self, images, masks, *, probabilities, keep=None):
        output = super().run(images, masks, probabilities=probabilities, keep=keep)
        if not probabilities:
            return output
        return output._replace(probabilities=output.probabilities / np.float32(masks.shape[2]))


def test_that_a_model_breaks_the_promise_is_remembered_too(tmp_path, model):
    first, _ = prepare(model, tmp_path / "cache", WARMUP, Dimmed())
    second, calls = prepare(model, tmp_path / "cache", WARMUP, Dimmed())

    assert not first.contract.holds
    assert second.contract == first.contract
    assert calls == []


@pytest.mark.parametrize("huge_images_come", [False, True])
def test_the_memory_of_calls_is_measured_once_and_reserved_at_every_start(
    tmp_path, model, huge_images_come
):
    used_bytes, free_bytes, memory = 10**9, 0, None

    class Hungry(Recording):
        def run(self, images, masks, *, probabilities, keep=None):
            nonlocal free_bytes
            free_bytes = max(free_bytes, 100 * masks.size)
            if huge_images_come:
                memory.return_free()
            return super().run(images, masks, probabilities=probabilities, keep=keep)

    def return_free():
        nonlocal free_bytes
        free_bytes = 0

    def prepare():
        nonlocal memory
        memory = ProcessMemory(10**10, 10**6, lambda: used_bytes + free_bytes, return_free)
        store = CalibrationStore(tmp_path / "cache")
        policy = WarmupPolicy(pixels=64, window_pixels=64 * 64)
        preparation = Preparation(
            model.parents[1], lambda _: Hungry(), policy, store, memory=memory
        )
        preparation.prepare("model", "1", lambda done, total: None)
        return memory.measure_free_bytes()

    expected = 0.85 * (10**10 - 10**9 - 100 * 10**6)
    assert prepare() == pytest.approx(expected, abs=1)
    assert free_bytes == 0
    assert prepare() == pytest.approx(expected, abs=1)


def test_what_requests_held_while_a_model_was_prepared_is_theirs_again_when_the_server_is_idle(
    model,
):
    used_bytes, free_bytes = 3 * 10**9, 0

    def return_free():
        nonlocal free_bytes
        free_bytes = 0

    memory = ProcessMemory(10**10, 0, lambda: used_bytes + free_bytes, return_free)
    preparation = Preparation(
        model.parents[1], lambda _: Recording(), WarmupPolicy(pixels=64), memory=memory
    )
    preparation.prepare("model", "1", lambda done, total: None)
    under_load = memory.measure_free_bytes()
    used_bytes, free_bytes = 10**9, 2 * 10**9  # the allocator keeps what the requests held

    async def look_on():
        looks = asyncio.Queue()
        looks.put_nowait(None), looks.put_nowait(None)
        watching = asyncio.create_task(watch_memory(memory, lambda: True, lambda _: looks.get()))
        await asyncio.to_thread(wait_until, lambda: free_bytes == 0, 5)
        watching.cancel()

    asyncio.run(look_on())

    assert under_load == pytest.approx(0.85 * 7 * 10**9, abs=1)
    assert memory.measure_free_bytes() == pytest.approx(0.85 * 9 * 10**9, abs=1)


@pytest.mark.parametrize(("limit_bytes", "warns"), [(10**9, True), (10**10, False)])
def test_a_model_that_leaves_too_little_memory_for_requests_is_warned_of(
    model, caplog, limit_bytes, warns
):
    memory = ProcessMemory(limit_bytes, 10**6, lambda: 9 * 10**8, lambda: None)
    preparation = Preparation(
        model.parents[1], lambda _: Recording(), WarmupPolicy(pixels=64), memory=memory
    )

    preparation.prepare("model", "1", lambda done, total: None)

    assert ("too little memory for requests" in caplog.text) == warns
