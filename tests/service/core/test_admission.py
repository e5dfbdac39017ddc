import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.admission import AdmissionPolicy, admit, admit_timeout
from service.core.load import Load, predict_wait

POLICY = AdmissionPolicy(max_wait_s=10, max_pending=4, max_pending_bytes=1000)
EMPTY = Load(waiting_s=0, running_s=0, workers=1, pending=0, pending_bytes=0, idle=1)
SECONDS = st.floats(0, 1e4)


def make_load(waiting_s=0.0, running_s=0.0, workers=1, pending=0, pending_bytes=0, idle=0):
    return Load(waiting_s, running_s, workers, pending, pending_bytes, idle)


def start_greedily(waiting_s, rests_s, piece_s):
    """Return the time at which a worker is free after the queued work is dealt out in pieces."""
    free_s = list(rests_s)
    for _ in range(round(waiting_s / piece_s)):
        free_s[free_s.index(min(free_s))] += piece_s
    return min(free_s)


def test_an_idle_server_lets_nobody_wait():
    assert predict_wait(EMPTY) == 0


def test_what_waits_and_what_runs_is_shared_by_the_workers():
    assert predict_wait(make_load(waiting_s=6, running_s=2, workers=4)) == 2


def test_a_long_call_does_not_keep_an_idle_worker():
    assert predict_wait(make_load(running_s=30, workers=2, idle=1)) == 0


@given(st.integers(0, 40), st.integers(0, 20), st.integers(1, 4), st.integers(0, 3))
def test_the_wait_is_that_of_dealing_the_work_out(waiting_s, rest_s, workers, busy):
    busy = min(busy, workers)
    rests_s = [float(rest_s)] * busy + [0.0] * (workers - busy)
    load = make_load(waiting_s, rest_s * busy, workers, idle=workers - busy)

    assert predict_wait(load) == pytest.approx(start_greedily(waiting_s, rests_s, 0.125), abs=0.13)


@given(SECONDS, SECONDS, st.integers(1, 8), st.integers(0, 3), st.integers(0, 900))
def test_a_request_that_finds_room_and_waits_little_is_taken_in(
    waiting_s, running_s, workers, pending, pending_bytes
):
    load = make_load(waiting_s, running_s, workers, pending, pending_bytes)

    assert (admit(POLICY, load, 100) is None) == (predict_wait(load) <= 10)


def test_a_queue_too_long_refuses_until_it_has_become_short_enough():
    refusal = admit(POLICY, make_load(waiting_s=30, running_s=4, workers=2), 1)

    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("wait", 7.0)
    assert refusal.message == "the predicted wait in the queue must be at most 10 s; it is 17 s"


def test_a_caller_in_a_hurry_is_refused_earlier():
    load = make_load(waiting_s=5.5)

    refusal = admit_timeout(load, 2)

    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("deadline", 4.0)
    assert admit_timeout(load, 6) is None


def test_patience_does_not_help_where_the_server_promises_less():
    refusal = admit(POLICY, make_load(waiting_s=11), 1)

    assert refusal is not None
    assert refusal.reason == "wait"


def test_too_many_requests_refuse_another_until_one_should_be_answered():
    refusal = admit(POLICY, make_load(waiting_s=8, pending=4), 1)

    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("pending", 2.0)


def test_too_many_bytes_refuse_another_until_enough_should_be_gone():
    refusal = admit(POLICY, make_load(waiting_s=9, pending=3, pending_bytes=900), 500)

    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("bytes", 4.0)


def test_the_last_byte_of_room_may_be_taken():
    assert admit(POLICY, make_load(pending=3, pending_bytes=900), 100) is None


def test_a_body_larger_than_all_the_room_is_taken_in_alone():
    assert admit(POLICY, make_load(), 5000) is None
    assert admit(POLICY, make_load(pending=1, pending_bytes=1), 5000) is not None


@given(
    SECONDS | st.just(math.inf),
    SECONDS,
    st.integers(0, 10),
    st.integers(0, 2000),
    st.integers(0, 2000),
    SECONDS,
)
def test_retrying_is_advised_in_whole_seconds_between_one_and_sixty(
    waiting_s, running_s, pending, pending_bytes, body_bytes, timeout_s
):
    load = make_load(waiting_s, running_s, 2, pending, pending_bytes)

    refusal = admit(POLICY, load, body_bytes) or admit_timeout(load, timeout_s)

    if refusal is not None:
        assert 1 <= refusal.retry_after_s <= 60
        assert refusal.retry_after_s == int(refusal.retry_after_s)


@given(st.floats(10, 69), st.integers(1, 4))
def test_who_comes_again_as_advised_is_taken_in(wait_s, workers):
    refusal = admit(POLICY, make_load(wait_s * workers, workers=workers), 1)

    if refusal is not None:
        left_s = max(wait_s - refusal.retry_after_s, 0) * workers
        assert admit(POLICY, make_load(left_s, workers=workers), 1) is None


@pytest.mark.parametrize(
    "limits",
    [
        {"max_wait_s": -1},
        {"max_wait_s": math.nan},
        {"max_pending": 0},
        {"max_pending_bytes": 0},
    ],
)
def test_a_policy_that_admits_nothing_is_refused(limits):
    with pytest.raises(ValueError, match="max_wait_s must be at least 0"):
        AdmissionPolicy(**limits)


@pytest.mark.parametrize(("workers", "idle"), [(0, 0), (2, 3), (2, -1)])
def test_a_load_of_impossible_workers_is_refused(workers, idle):
    with pytest.raises(ValueError, match="workers must be at least 1"):
        make_load(workers=workers, idle=idle)
