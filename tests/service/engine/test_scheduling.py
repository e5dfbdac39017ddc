import os
import sys

import pytest

from service.engine.scheduling import SWITCH_S, set_batch_scheduling

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_BATCH"), reason="only Linux has such a policy"
)


@pytest.fixture(autouse=True)
def interval():
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def chosen(monkeypatch):
    """The policies that the system is asked for, none of which takes effect."""
    policies = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *given: policies.append(given[1]))
    return policies


def test_models_are_favored_at_cores_and_interpreter(monkeypatch, chosen):
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)

    set_batch_scheduling()

    assert chosen == [os.SCHED_BATCH]
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)


@pytest.mark.parametrize("policy", [os.SCHED_IDLE, os.SCHED_RR])
def test_a_policy_that_the_operator_has_chosen_is_kept(monkeypatch, chosen, policy):
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: policy)

    set_batch_scheduling()

    assert chosen == []


def test_a_sandbox_that_forbids_it_stops_nothing(monkeypatch):
    def forbid(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    monkeypatch.setattr(os, "sched_setscheduler", forbid)

    set_batch_scheduling()
