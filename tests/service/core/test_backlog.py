"""Clients take turns, so that one client's backlog delays another by little, whatever it queues."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.batching import BatchPolicy, BatchQueue
from service.core.lanes import Lane, QueuedWindow

LANES = {1: Lane("model", (8, 8)), 4: Lane("model", (16, 16))}


def make_window(client, cost_s=1, arrived_s=0.0, priority=0):
    return QueuedWindow(
        LANES[cost_s],
        arrived_s,
        arrived_s=arrived_s,
        cost_s=cost_s,
        client=client,
        priority=priority,
    )


def make_queue(*windows, sizes=(1,)):
    queue = BatchQueue(BatchPolicy(sizes=sizes))
    for window in windows:
        queue.add(window)
    return queue


def take(queue, number=1):
    """Return the clients of the next windows."""
    return "".join(w.client for _ in range(number) for w in queue.take(0).windows)


def test_the_first_request_of_a_client_is_next_whatever_another_has_queued():
    queue = make_queue(*[make_window("a") for _ in range(100)])
    take(queue, 10)

    queue.add(make_window("b", arrived_s=10))

    # Both have been given equally little since "b" came: the one that waited goes first.
    assert take(queue, 2) in ("ab", "ba")


def test_clients_are_given_equal_work_not_equal_numbers_of_windows():
    queue = make_queue(
        *[make_window("a", cost_s=4) for _ in range(20)], *[make_window("b") for _ in range(80)]
    )

    taken = Counter(take(queue, 50))

    assert taken == {"a": 10, "b": 40}


def test_a_client_that_was_idle_has_no_credit():
    queue = make_queue(*[make_window("a") for _ in range(50)])
    take(queue, 30)

    for _ in range(20):
        queue.add(make_window("b"))

    assert Counter(take(queue, 20)) == {"a": 10, "b": 10}


def test_a_client_that_comes_again_at_once_does_not_jump_the_queue():
    queue = make_queue(*[make_window("a") for _ in range(20)])
    taken = ""
    for _ in range(10):
        queue.add(make_window("b", cost_s=4))
        while "b" not in (served := take(queue)):
            taken += served

    assert Counter(taken)["a"] in range(19, 21)


def test_a_batch_is_shared_too():
    queue = make_queue(
        *[make_window("a") for _ in range(30)], *[make_window("b") for _ in range(4)], sizes=(1, 8)
    )

    assert Counter(take(queue)) == {"a": 4, "b": 4}


def test_a_priority_orders_the_windows_of_its_own_client_only():
    queue = make_queue(
        make_window("a"), *[make_window("b", priority=9, arrived_s=1) for _ in range(9)]
    )

    assert "a" in take(queue, 2)


def test_small_requests_of_a_client_still_pass_its_own_huge_image():
    huge = [make_window("a", arrived_s=float(second)) for second in range(9)]
    queue = make_queue(*huge)
    small = make_window("a", arrived_s=2.5)
    queue.add(small)

    taken = [queue.take(0).windows[0] for _ in range(4)]

    assert taken == [*huge[:3], small]


def test_work_that_waits_is_counted_by_client():
    queue = make_queue(make_window("a", 4), make_window("b"), make_window("b"))
    assert queue.backlog.work_s == {"a": 4, "b": 2}

    take(queue)

    assert sum(queue.backlog.work_s.values()) in (2, 5)
    take(queue, 2)
    assert queue.backlog.work_s == {}


def test_clients_that_are_gone_are_forgotten():
    queue = make_queue()
    for number in range(10_000):
        queue.add(make_window(str(number)))
        take(queue)

    assert len(queue.backlog.times_s) < 200


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([1, 4])), min_size=1, max_size=80)
)
def test_while_two_clients_wait_neither_is_given_more_than_a_window_beyond_the_other(windows):
    queue = make_queue(*[make_window(client, cost_s) for client, cost_s in windows])
    given_s = dict.fromkeys("abcd", 0.0)
    while len(queue):
        waiting = set(queue.backlog.work_s)
        (window,) = queue.take(0).windows
        given_s[window.client] += window.cost_s
        behind = min(given_s[client] for client in waiting)
        assert given_s[window.client] - window.cost_s == pytest.approx(
            min(given_s[c] - (window.cost_s if c == window.client else 0) for c in waiting)
        )
        assert given_s[window.client] <= behind + 4
