from hypothesis import given
from hypothesis import strategies as st

from service.bench.load_profile import LoadProfile
from service.bench.schedule import Schedule


def test_requests_are_taken_in_turn():
    schedule = Schedule(LoadProfile(requests=5), 3, 0.0)

    assert [schedule.take(0.0).number for _ in range(5)] == [0, 1, 2, 0, 1]


def test_only_what_is_due_in_the_window_is_measured():
    schedule = Schedule(LoadProfile(duration_s=2.0, warmup_s=1.0), 1, 10.0)

    assert [schedule.take(now_s).is_measured for now_s in (10.9, 11.0, 12.9, 13.0)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_the_load_goes_on_until_what_is_measured_is_settled():
    schedule = Schedule(LoadProfile(duration_s=1.0), 1, 0.0)
    measured, after = schedule.take(0.5), schedule.take(1.5)

    schedule.settle(after, 2.0)
    assert schedule.accepts
    schedule.settle(measured, 3.0)
    assert not schedule.accepts
    assert schedule.is_over


def test_what_is_in_flight_is_waited_for():
    schedule = Schedule(LoadProfile(duration_s=1.0), 1, 0.0)
    measured, after = schedule.take(0.5), schedule.take(1.5)

    schedule.settle(measured, 2.0)
    assert schedule.take(2.0) is None
    assert not schedule.is_over
    schedule.settle(after, 3.0)
    assert schedule.is_over


def test_an_idle_window_ends_with_its_time():
    schedule = Schedule(LoadProfile(duration_s=1.0, rate_per_s=1.0), 1, 0.0)

    schedule.advance(0.9)
    assert not schedule.is_over
    schedule.advance(1.0)
    assert schedule.is_over


def test_arrivals_wait_in_order_and_those_after_the_window_are_dropped_at_its_end():
    schedule = Schedule(LoadProfile(duration_s=1.0, rate_per_s=1.0), 9, 0.0)
    for due_s in (0.2, 0.4, 1.2):
        schedule.arrive(due_s)

    taken = [schedule.take(1.5) for _ in range(2)]
    assert [scheduled.due_s for scheduled in taken] == [0.2, 0.4]
    for scheduled in taken:
        schedule.settle(scheduled, 1.6)
    assert schedule.take(1.7) is None
    assert schedule.is_over


@given(connections=st.integers(1, 5), requests=st.integers(1, 30), warm=st.integers(0, 10))
def test_as_many_requests_are_measured_as_are_asked_for(connections, requests, warm):
    schedule = Schedule(LoadProfile(requests=requests, warmup_s=float(warm)), 4, 0.0)
    now_s, in_flight, taken = 0.0, [], []
    while not schedule.is_over:
        while len(in_flight) < connections and (scheduled := schedule.take(now_s)):
            in_flight.append(scheduled)
            taken.append(scheduled)
        now_s += 1.0
        schedule.settle(in_flight.pop(0), now_s)

    assert sum(scheduled.is_measured for scheduled in taken) == requests
    assert schedule.settled == len(taken)
