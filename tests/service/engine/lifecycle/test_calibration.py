import json
import math

import pytest

from service.core.cost import BatchCost
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.preparation import Preparation
from service.engine.lifecycle.warmup import WarmupPolicy
from service.engine.thread_allocation import ThreadAllocation
from service.runtime.probe import Check, ContractReport
from tests.support.runtimes import Recording

FOUND = Calibration(
    ContractReport((Check("canvas", True, "0 of 9 differ"), Check("radius", False, "51"))),
    BatchCost(3e-4, 5e-7),
)
ALLOCATION = ThreadAllocation(2, 1)


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


@pytest.mark.parametrize(
    ("contract", "cost"),
    [
        ([], GOOD_COST),
        ([GOOD_CHECK | {"passed": "false"}], GOOD_COST),
        ([GOOD_CHECK | {"passed": 1}], GOOD_COST),
        ([GOOD_CHECK], GOOD_COST | {"pixel_s": 0}),
        ([GOOD_CHECK], GOOD_COST | {"call_s": "3e-4"}),
        ([GOOD_CHECK], GOOD_COST | {"call_s": math.nan}),
    ],
)
def test_a_calibration_that_cannot_be_counts_as_none(tmp_path, contract, cost):
    (tmp_path / "abc.json").write_text(json.dumps({"contract": contract, "cost": cost}))

    assert CalibrationStore(tmp_path).read("abc") is None


def test_a_good_calibration_is_read(tmp_path):
    (tmp_path / "abc.json").write_text(json.dumps({"contract": [GOOD_CHECK], "cost": GOOD_COST}))

    assert CalibrationStore(tmp_path).read("abc").contract.holds


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
