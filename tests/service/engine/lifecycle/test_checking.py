import logging

import pytest

from lacuna.errors import InferenceError, PrecisionError
from service.core.cost import BatchCost
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.checking import check_version
from service.runtime.contract.report import Check, ContractReport
from service.runtime.fake import FakeRuntime
from service.runtime.precision import Agreement
from tests.support.runtimes import Darkening, Failing, InTwoPrecisions, ReadsTheBatch, Recording


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    return tmp_path / "m" / "1"


def check(runtime, folder, setting, store=None, *, has_instructions=True):
    return check_version(
        runtime, folder, setting, store or CalibrationStore(), has_instructions=has_instructions
    )


@pytest.mark.parametrize(
    ("setting", "has_instructions", "expected"),
    [
        ("float32", True, "float32"),
        ("float32", False, "float32"),
        ("bfloat16", True, "bfloat16"),
        ("bfloat16", False, "bfloat16"),
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
    ],
)
def test_the_precision_follows_the_setting_and_the_cpu(folder, setting, has_instructions, expected):
    runtime = InTwoPrecisions(Darkening())

    checked = check(runtime, folder, setting, has_instructions=has_instructions)

    assert checked.precision == expected
    assert checked.runtime is (runtime.fast if expected == "bfloat16" else runtime)
    assert len(checked.agreement) == (expected == "bfloat16")
    assert checked.contract.holds


def test_bfloat16_without_instructions_is_said_not_to_help(folder, caplog):
    runtime = InTwoPrecisions(Darkening())

    check(runtime, folder, "bfloat16", has_instructions=False)

    assert "bfloat16 will not help: the CPU has no instructions for it" in caplog.text


def test_auto_without_instructions_says_why_it_stays_with_float32(folder, caplog):
    caplog.set_level(logging.INFO)

    check(InTwoPrecisions(Darkening()), folder, "auto", has_instructions=False)

    (record,) = caplog.records
    assert record.message == "model stays with float32"
    assert (record.folder, record.reason) == (
        "m/1",
        "the CPU has no instructions for bfloat16",
    )


def test_bfloat16_that_changes_no_probability_is_said_to_change_nothing(folder, caplog):
    check(InTwoPrecisions(FakeRuntime()), folder, "bfloat16")

    assert "bfloat16 changes nothing" in caplog.text


def test_bfloat16_that_changes_one_is_not(folder, caplog):
    check(InTwoPrecisions(Darkening()), folder, "bfloat16")

    assert not caplog.records


def test_a_model_that_breaks_its_contract_in_bfloat16_fails(folder):
    with pytest.raises(PrecisionError) as caught:
        check(InTwoPrecisions(ReadsTheBatch()), folder, "bfloat16")

    message = caught.value.message
    assert message.startswith("a model must keep in bfloat16 what it keeps in float32; it breaks: ")
    assert "batch-mates" in message


def test_a_model_that_fails_in_bfloat16_fails(folder):
    with pytest.raises(InferenceError, match="no memory"):
        check(InTwoPrecisions(Failing()), folder, "bfloat16")


def test_a_model_whose_runtime_has_no_bfloat16_fails(folder):
    with pytest.raises(PrecisionError, match="must be a SavedModel to run in bfloat16"):
        check(FakeRuntime(), folder, "bfloat16")


@pytest.mark.parametrize(
    "runtime", [InTwoPrecisions(ReadsTheBatch()), InTwoPrecisions(Failing()), FakeRuntime()]
)
def test_auto_stays_with_float32_where_bfloat16_fails_and_says_why(folder, runtime, caplog):
    checked = check(runtime, folder, "auto")

    assert (checked.precision, checked.runtime, checked.agreement) == ("float32", runtime, ())
    assert checked.contract.holds
    (record,) = caplog.records
    assert record.message == "model stays with float32"
    assert "bfloat16" in record.reason or "no memory" in record.reason


@pytest.mark.parametrize("setting", ["bfloat16", "auto"])
def test_a_model_that_breaks_its_contract_in_float32_as_well_is_served_in_bfloat16(folder, setting):
    class Both(ReadsTheBatch):
        def in_bfloat16(self):
            return self

    checked = check(Both(), folder, setting)

    assert checked.precision == "bfloat16"
    assert not checked.contract.holds


def test_what_is_stored_is_neither_checked_nor_compared_again(folder, tmp_path):
    store = CalibrationStore(tmp_path / "cache")
    fast, exact = Recording(), Recording()
    exact.in_bfloat16 = lambda: fast
    first = check(exact, folder, "bfloat16", store)
    known = Calibration(first.contract, BatchCost(1e-4, 1e-7), 700.0, first.agreement)
    store.write(first.key, known)
    fast.shapes.clear()
    exact.shapes.clear()

    again = check(exact, folder, "bfloat16", store)

    assert (again.contract, again.agreement, again.known) == (
        known.contract,
        known.agreement,
        known,
    )
    assert not fast.shapes
    assert not exact.shapes


def test_a_calibration_in_one_precision_is_not_taken_for_another(folder, tmp_path):
    store = CalibrationStore(tmp_path / "cache")
    broken = ContractReport((Check("canvas", False, "9 of 9 pixels differ"),))
    agreement = (Agreement("random", 9, 1, 0.5),)
    store.write(
        store.compute_key(folder), Calibration(broken, BatchCost(1e-4, 1e-7), 700.0, agreement)
    )

    assert check(InTwoPrecisions(Darkening()), folder, "bfloat16", store).contract.holds
