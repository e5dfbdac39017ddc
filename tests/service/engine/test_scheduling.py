import os
import sys
from concurrent.futures import ThreadPoolExecutor

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


class System:
    """Fake of the Linux scheduler, as in Python's `os`.

    Attributes:
        policy: that the thread has.
        chosen: the policies that were asked for, none of which takes effect.
    """

    def __init__(self, policy):
        self.policy, self.chosen = policy, []

    def sched_getscheduler(self, pid, /):
        return self.policy

    def sched_setscheduler(self, pid, policy, param, /):
        self.chosen.append(policy)


class Sandbox(System):
    """Scheduler that forbids to set a policy."""

    def sched_setscheduler(self, pid, policy, param, /):
        raise PermissionError(1, "Operation not permitted")


def test_models_are_favored_at_cores_and_interpreter():
    system = System(os.SCHED_OTHER)

    set_batch_scheduling(system)

    assert system.chosen == [os.SCHED_BATCH]
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)


@pytest.mark.parametrize("policy", [os.SCHED_IDLE, os.SCHED_RR])
def test_a_policy_that_the_operator_has_chosen_is_kept(policy):
    system = System(policy)

    set_batch_scheduling(system)

    assert system.chosen == []


def test_a_sandbox_that_forbids_it_stops_nothing():
    set_batch_scheduling(Sandbox(os.SCHED_OTHER))


def test_the_calling_thread_has_the_policy_for_batch_work():
    def schedule():
        set_batch_scheduling()
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(schedule).result() == os.SCHED_BATCH
