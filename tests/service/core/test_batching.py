import gc
import math
import random
import tracemalloc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.core.batching import Batch, BatchPolicy, BatchQueue, compute_due_times
from service.core.cost import BatchCost
from service.core.lanes import Lane, QueuedWindow

SMALL = Lane("model", (8, 8))
WIDE = Lane("model", (8, 16))
LARGE = Lane("model", (16, 16))
# A call is worth 100 pixels: padding 8×8 to 8×16 pays, to 16×16 does not.
COST = BatchCost(call_s=100.0, pixel_s=1.0)


def make_window(lane=SMALL, due_s=0.0, **fields):
    return QueuedWindow(lane, due_s, **{"arrived_s": due_s, **fields})


def fill(queue, *windows):
    for window in windows:
        queue.add(window)
    return windows


def take_all(queue, now_s=0.0, cost=None):
    batches = []
    while (batch := queue.take(now_s, lambda key: cost)) is not None:
        batches.append(batch)
    return batches


def test_windows_of_a_lane_leave_together_in_the_order_of_their_due_times():
    queue = BatchQueue(BatchPolicy())
    late, early = fill(queue, make_window(due_s=2), make_window(due_s=1))

    assert queue.take(2) == Batch(SMALL, [early, late])
    assert queue.take(2) is None


def test_windows_due_at_once_leave_as_they_came():
    queue = BatchQueue(BatchPolicy())
    windows = fill(queue, *(make_window() for _ in range(8)))

    batch = queue.take(0)

    assert batch is not None
    assert batch.windows == list(windows)


def test_a_batch_has_one_of_the_sizes():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2, 4, 8)))
    fill(queue, *(make_window() for _ in range(15)))

    assert [len(batch.windows) for batch in take_all(queue)] == [8, 4, 2, 1]


def test_a_batch_keeps_within_the_budget_of_pixels():
    queue = BatchQueue(BatchPolicy(max_pixels=16 * 16 * 3))
    fill(queue, *(make_window(LARGE) for _ in range(5)))

    assert [batch.pixels for batch in take_all(queue)] == [512, 512, 256]


def test_a_window_larger_than_the_budget_goes_alone():
    queue = BatchQueue(BatchPolicy(max_pixels=100))
    fill(queue, make_window(LARGE), make_window(LARGE))

    assert [len(batch.windows) for batch in take_all(queue)] == [1, 1]


def test_the_lane_whose_first_window_is_due_first_goes_first():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(LARGE, 2), make_window(SMALL, 3), make_window(SMALL, 1))

    assert [batch.lane for batch in take_all(queue)] == [SMALL, LARGE]


def test_a_higher_priority_goes_first_among_lanes_and_within_one():
    queue = BatchQueue(BatchPolicy(sizes=(1,)))
    low, high, other = fill(
        queue, make_window(due_s=1), make_window(due_s=3, priority=1), make_window(LARGE, 2)
    )

    taken = [window for batch in take_all(queue) for window in batch.windows]

    assert taken == [high, low, other]


def test_a_full_lane_leaves_before_an_older_half_empty_one():
    queue = BatchQueue(BatchPolicy(max_wait_s=10, sizes=(1, 2)))
    fill(queue, make_window(LARGE, 0), make_window(SMALL, 1), make_window(SMALL, 1))

    assert [batch.lane for batch in take_all(queue, now_s=1)] == [SMALL]


def test_a_half_empty_lane_leaves_once_its_oldest_window_has_waited():
    queue = BatchQueue(BatchPolicy(max_wait_s=10))
    # The oldest is not the first in the order.
    fill(queue, make_window(due_s=9, arrived_s=2), make_window(due_s=8, arrived_s=5))

    assert queue.take(11.9) is None
    assert [len(batch.windows) for batch in take_all(queue, now_s=12)] == [2]


def test_nothing_waits_for_company_unless_told_to():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(due_s=5))

    assert queue.take(5) is not None


@pytest.mark.parametrize(
    "other",
    [
        Lane("another model", (8, 8)),
        Lane("model", (8, 9)),
        Lane("model", (8, 8), may_pad=False),
    ],
)
def test_different_lanes_do_not_share_a_batch_by_themselves(other):
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(SMALL), make_window(other))

    assert [batch.lane for batch in take_all(queue)] == [SMALL, other]


def test_neighbours_of_a_cancelled_window_notice_nothing():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2, 3)))
    first, second, third = fill(queue, make_window(), make_window(), make_window())

    assert queue.cancel(second)
    assert not queue.cancel(second)
    assert queue.take(0) == Batch(SMALL, [first, third])


def test_the_few_that_are_left_of_many_leave_in_order():
    queue = BatchQueue(BatchPolicy(sizes=(1,)))
    windows = fill(queue, *(make_window(due_s=index * 37 % 100) for index in range(100)))
    for window in windows[10:]:
        queue.cancel(window)

    left = [batch.windows[0].due_s for batch in take_all(queue, 100)]

    assert left == [0, 11, 22, 33, 37, 48, 59, 74, 85, 96]


def test_a_window_that_is_gone_cannot_be_cancelled():
    queue = BatchQueue(BatchPolicy())
    (window,) = fill(queue, make_window())
    queue.take(0)

    assert not queue.cancel(window)
    assert not queue.cancel(make_window())


def test_a_window_cannot_wait_twice_at_once():
    queue = BatchQueue(BatchPolicy())
    (window,) = fill(queue, make_window())

    with pytest.raises(ValueError, match="added once"):
        queue.add(window)


def test_a_window_that_was_cancelled_may_wait_again():
    queue = BatchQueue(BatchPolicy())
    (window,) = fill(queue, make_window())
    queue.cancel(window)
    queue.add(window)

    assert take_all(queue) == [Batch(SMALL, [window])]


def test_a_window_whose_deadline_has_come_is_never_in_a_batch():
    queue = BatchQueue(BatchPolicy())
    late, patient = fill(queue, make_window(deadline_s=5), make_window())

    assert queue.take(5) == Batch(SMALL, [patient])
    assert queue.drop_expired(5) == [late]
    assert queue.drop_expired(5) == []


def test_expired_windows_are_dropped_without_a_batch_too():
    queue = BatchQueue(BatchPolicy())
    second, first, in_time = fill(
        queue,
        make_window(deadline_s=4),
        make_window(LARGE, deadline_s=3),
        make_window(deadline_s=6),
    )

    assert queue.drop_expired(5) == [first, second]
    assert queue.take(5) == Batch(SMALL, [in_time])


def test_the_queue_counts_what_waits():
    queue = BatchQueue(BatchPolicy(sizes=(1,)))
    cancelled, *_ = fill(
        queue, make_window(), make_window(LARGE, 1), make_window(deadline_s=3), make_window()
    )
    assert (len(queue), queue.pixels) == (4, 64 * 3 + 256)

    queue.cancel(cancelled)
    queue.take(3)

    assert (len(queue), queue.pixels) == (1, 256)


def test_the_next_event_is_when_a_lane_becomes_ready_or_a_deadline_comes():
    queue = BatchQueue(BatchPolicy(max_wait_s=10))
    assert queue.next_event_s() is None

    (first,) = fill(queue, make_window(due_s=1))
    assert queue.next_event_s() == 11

    (second,) = fill(queue, make_window(LARGE, 2, deadline_s=7))
    assert queue.next_event_s() == 7

    queue.cancel(second)
    assert queue.next_event_s() == 11

    queue.cancel(first)
    assert queue.next_event_s() is None


def test_a_window_set_aside_as_expired_is_an_event_until_it_is_dropped():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(deadline_s=3))
    queue.take(4)

    assert queue.next_event_s() == 3
    queue.drop_expired(4)
    assert queue.next_event_s() is None


def test_at_the_next_event_something_does_happen():
    # 0.1 + 0.2 is a little more than 0.3.
    queue = BatchQueue(BatchPolicy(max_wait_s=0.2))
    fill(queue, make_window(due_s=0.1))
    event_s = queue.next_event_s()

    assert event_s is not None
    assert queue.take(math.nextafter(event_s, 0)) is None
    assert queue.take(event_s) is not None


def test_a_smaller_window_joins_where_padding_it_is_cheaper_than_a_call():
    queue = BatchQueue(BatchPolicy())
    large, small = fill(queue, make_window(WIDE), make_window(SMALL, 1))

    assert take_all(queue, cost=COST) == [Batch(WIDE, [large, small])]


def test_a_smaller_window_stays_where_a_call_of_its_own_is_cheaper():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(LARGE), make_window(SMALL, 1))

    assert [batch.lane for batch in take_all(queue, cost=COST)] == [LARGE, SMALL]


def test_windows_do_not_join_where_the_cost_is_not_known():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(WIDE), make_window(SMALL, 1))

    assert len(take_all(queue, cost=None)) == 2


def test_a_larger_window_does_not_join_a_smaller_bucket():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(SMALL), make_window(WIDE, 1))

    assert len(take_all(queue, cost=COST)) == 2


def test_a_window_joins_only_if_it_fits_both_ways():
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(WIDE), make_window(Lane("model", (9, 13)), 1))

    assert len(take_all(queue, cost=COST)) == 2


@pytest.mark.parametrize(
    ("host", "donor"),
    [
        (WIDE, Lane("another model", (8, 8))),
        (WIDE, Lane("model", (8, 8), may_pad=False)),
        (Lane("model", (8, 16), may_pad=False), SMALL),
    ],
)
def test_windows_of_another_key_or_of_exact_shape_never_join(host, donor):
    queue = BatchQueue(BatchPolicy())
    fill(queue, make_window(host), make_window(donor, 1))

    assert [batch.lane for batch in take_all(queue, cost=COST)] == [host, donor]


def test_windows_join_only_up_to_one_of_the_sizes():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2, 4)))
    fill(queue, make_window(WIDE), *(make_window(Lane("model", (8, 7 + i)), i) for i in (2, 1)))

    batches = take_all(queue, cost=COST)

    assert [len(batch.windows) for batch in batches] == [2, 1]
    assert [window.due_s for window in batches[0].windows] == [0, 1]


def test_windows_join_only_within_the_budget_of_pixels():
    queue = BatchQueue(BatchPolicy(max_pixels=2 * 8 * 16))
    fill(queue, make_window(WIDE), make_window(WIDE), make_window(SMALL, 1))

    assert [batch.lane for batch in take_all(queue, cost=COST)] == [WIDE, SMALL]


def test_windows_join_an_odd_number_to_make_it_a_size():
    queue = BatchQueue(BatchPolicy())
    fill(queue, *(make_window(WIDE) for _ in range(3)), make_window(SMALL, 1))

    assert [len(batch.windows) for batch in take_all(queue, cost=COST)] == [4]


def test_a_lane_with_a_full_batch_gives_no_window_away():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2)))
    fill(queue, make_window(WIDE), *(make_window(SMALL, 1) for _ in range(3)))

    batches = take_all(queue, cost=COST)

    assert [len(batch.windows) for batch in batches] == [1, 2, 1]


def test_a_window_does_not_join_if_its_lane_needs_as_many_calls_without_it():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2, 8)))
    fill(queue, make_window(WIDE), make_window(SMALL, 1), make_window(SMALL, 1))

    batches = take_all(queue, cost=COST)

    assert [(batch.lane, len(batch.windows)) for batch in batches] == [(WIDE, 1), (SMALL, 2)]


def test_windows_of_one_call_join_another_only_if_all_their_padding_is_cheaper():
    batches = []
    for cost in (COST, BatchCost(call_s=130.0, pixel_s=1.0)):
        queue = BatchQueue(BatchPolicy(sizes=(1, 2, 3)))
        fill(queue, make_window(WIDE), make_window(SMALL, 1), make_window(SMALL, 1))
        batches.append([len(batch.windows) for batch in take_all(queue, cost=cost)])

    # Two times 64 pixels of padding, against a call of 100 and one of 130.
    assert batches == [[1, 2], [3]]


def test_a_window_joins_to_save_a_call_of_the_larger_bucket():
    queue = BatchQueue(BatchPolicy(sizes=(1, 2, 4)))
    fill(
        queue, *(make_window(WIDE) for _ in range(3)), make_window(SMALL, 1), make_window(SMALL, 1)
    )

    assert [len(batch.windows) for batch in take_all(queue, cost=COST)] == [4, 1]


@given(st.floats(0, 1e6), st.lists(st.floats(0, 100), min_size=1))
def test_a_window_is_due_when_those_before_it_would_be_done(arrived_s, costs_s):
    due = compute_due_times(arrived_s, costs_s)

    assert due[0] == arrived_s
    assert len(due) == len(costs_s)
    for index, due_s in enumerate(due):
        assert due_s == pytest.approx(arrived_s + math.fsum(costs_s[:index]))


def test_no_windows_are_due_never():
    assert compute_due_times(1.0, []) == []


def serve(arrivals, seconds=1.0):
    """Run windows one by one as they arrive, and return the time at which each began."""
    queue = BatchQueue(BatchPolicy(sizes=(1,)))
    pending = sorted(arrivals, key=lambda window: window.arrived_s)
    begun, now_s = {}, 0.0
    while pending or len(queue):
        while pending and pending[0].arrived_s <= now_s:
            queue.add(pending.pop(0))
        batch = queue.take(now_s)
        if batch is not None:
            begun[batch.windows[0]] = now_s
        now_s += seconds
    return begun


def test_small_requests_pass_the_later_windows_of_a_huge_image():
    huge = [make_window(due_s=due_s, arrived_s=0) for due_s in compute_due_times(0.0, [1.0] * 1000)]
    small = [make_window(LARGE, float(arrived_s)) for arrived_s in (10, 100, 200)]

    begun = serve(huge + small)

    assert all(begun[window] - window.arrived_s <= 5 for window in small)


def test_a_huge_image_is_not_starved_by_an_unending_stream():
    huge = [make_window(due_s=due_s, arrived_s=0) for due_s in compute_due_times(0.0, [1.0] * 100)]
    # By itself the stream keeps the worker busy: the two share it, half and half.
    stream = [make_window(LARGE, float(arrived_s)) for arrived_s in range(1000)]

    begun = serve(huge + stream)

    assert all(begun[window] <= 2 * window.due_s + 2 for window in huge)


class Payload:
    """Payload that accepts weak references."""


def test_a_cancelled_window_is_forgotten_at_once():
    queue = BatchQueue(BatchPolicy(max_wait_s=1))
    payload = Payload()
    gone = weakref.ref(payload)
    _, window = fill(queue, make_window(), make_window(due_s=1, deadline_s=9, payload=payload))

    queue.cancel(window)
    del window, payload
    gc.collect()

    assert gone() is None


def test_a_queue_that_is_never_empty_does_not_grow():
    queue = BatchQueue(BatchPolicy(max_wait_s=1))
    fill(queue, make_window(deadline_s=1))
    tracemalloc.start()
    for due_s in range(1, 4001):
        # Behind the one that stays in every order.
        (window,) = fill(queue, make_window(due_s=due_s, deadline_s=due_s + 2))
        queue.cancel(window)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 100_000


def test_an_empty_lane_is_forgotten():
    queue = BatchQueue(BatchPolicy())
    key = Payload()
    gone = weakref.ref(key)
    fill(queue, make_window(Lane(key, (8, 8))))

    queue.take(0)
    del key
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_pixels": 0}, "max_pixels must be at least 1"),
        ({"max_wait_s": -1}, "max_wait_s at least 0"),
        ({"max_wait_s": math.inf}, "max_wait_s at least 0"),
        ({"sizes": ()}, "ascend from 1"),
        ({"sizes": (2, 4)}, "ascend from 1"),
        ({"sizes": (1, 4, 2)}, "ascend from 1"),
        ({"sizes": (1, 2, 2)}, "ascend from 1"),
    ],
)
def test_a_policy_out_of_range_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        BatchPolicy(**fields)


def test_a_policy_lists_the_sizes_that_fit_a_bucket():
    policy = BatchPolicy(max_pixels=1000, sizes=(1, 2, 4, 8))

    assert policy.choose_sizes((10, 25)) == (1, 2, 4)
    assert policy.choose_sizes((100, 100)) == (1,)


class ReferenceQueue:
    """Reference of the queue: its rules, applied to a plain list."""

    def __init__(self, policy, cost):
        self.policy, self.cost = policy, cost
        self.waiting = []
        self.expired = []
        self.times_s = {}
        self.now_s = 0.0

    def add(self, window):
        if not self.waiting:
            self.times_s, self.now_s = {}, 0.0
        if not any(other.client == window.client for other in self.waiting):
            former_s = self.times_s.get(window.client, 0.0)
            self.times_s[window.client] = max(former_s, self.now_s)
        self.waiting.append(window)

    def order(self, window, times_s):
        return times_s[window.client], -window.priority, window.due_s, self.waiting.index(window)

    def first(self, windows, number):
        """Return the windows to serve: each time, of the client that was given least."""
        times_s, left, served = dict(self.times_s), list(windows), []
        for _ in range(number):
            window = min(left, key=lambda w: self.order(w, times_s))
            left.remove(window)
            served.append(window)
            times_s[window.client] += window.cost_s
        return served

    def area(self, lane):
        return lane.bucket[0] * lane.bucket[1]

    def sizes(self, lane):
        limit = self.policy.max_pixels
        return [n for n in self.policy.sizes if n == 1 or n * self.area(lane) <= limit]

    def members(self, lane):
        return [window for window in self.waiting if window.lane == lane]

    def expire(self, now_s):
        late = [w for w in self.waiting if w.deadline_s is not None and w.deadline_s <= now_s]
        self.expired += late
        self.waiting = [window for window in self.waiting if window not in late]

    def is_full(self, lane):
        return len(self.members(lane)) >= max(self.sizes(lane))

    def is_ready(self, lane, now_s):
        oldest_s = min(window.arrived_s for window in self.members(lane))
        return self.is_full(lane) or oldest_s + self.policy.max_wait_s <= now_s

    def take(self, now_s):
        self.expire(now_s)
        ready = [window for window in self.waiting if self.is_ready(window.lane, now_s)]
        if not ready:
            return None
        first = min(ready, key=lambda w: self.order(w, self.times_s))
        lane = first.lane
        own = self.members(lane)
        joined = self.join(lane, own) if self.cost else None
        number = len(own) if joined else max(n for n in self.sizes(lane) if n <= len(own))
        batch = self.first(own, number) + (joined[len(own) :] if joined else [])
        self.now_s = max(self.now_s, self.times_s[first.client])
        for window in batch:
            self.times_s[window.client] += window.cost_s
        self.waiting = [window for window in self.waiting if window not in batch]
        return Batch(lane, batch)

    def join(self, lane, own):
        guests = [window for window in self.waiting if self.may_join(window.lane, lane)]
        guests.sort(key=lambda w: self.order(w, self.times_s))
        best, least = None, self.total([], own + guests)
        for number in range(1, len(guests) + 1):
            batch = own + guests[:number]
            if len(batch) in self.sizes(lane) and not self.is_full(lane):
                seconds = self.cost.predict(len(batch) * self.area(lane))
                seconds += self.total(batch, guests)
                if seconds < least:
                    best, least = batch, seconds
        return best

    def may_join(self, guest, host):
        return (
            guest != host
            and guest.key == host.key
            and guest.may_pad
            and host.may_pad
            and guest.bucket[0] <= host.bucket[0]
            and guest.bucket[1] <= host.bucket[1]
            and (self.area(host) - self.area(guest)) * self.cost.pixel_s < self.cost.call_s
            and not self.is_full(guest)
        )

    def total(self, gone, windows):
        """Return the seconds that windows take if every lane is run by itself."""
        seconds = 0
        left = [window for window in windows if window not in gone]
        for lane in {window.lane for window in left}:
            number = sum(window.lane == lane for window in left)
            while number:
                size = max(n for n in self.sizes(lane) if n <= number)
                seconds += self.cost.predict(size * self.area(lane))
                number -= size
        return seconds

    def next_event_s(self):
        waited = [window.arrived_s + self.policy.max_wait_s for window in self.waiting]
        known = self.waiting + self.expired
        deadlines = [w.deadline_s for w in known if w.deadline_s is not None]
        return min(waited + deadlines, default=None)


LANES = st.builds(
    Lane,
    st.sampled_from(["model", "model", "model", "other"]),
    st.sampled_from([(4, 4), (4, 8), (8, 4), (8, 8), (8, 12)]),
    st.sampled_from([True, True, True, False]),
)
POLICIES = st.builds(
    BatchPolicy,
    st.sampled_from([64, 256, 1024]),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([(1, 2, 4, 8), (1, 3, 4), (1, 2, 3, 16)]),
)
# In pixels: padding one of these buckets to another is 16, 32 or more.
COSTS = st.sampled_from([None, *(BatchCost(call_s, 1.0) for call_s in (0.0, 17.0, 40.0, 1000.0))])


class QueueMachine(RuleBasedStateMachine):
    """State machine that treats a queue and its reference alike."""

    @initialize(policy=POLICIES, cost=COSTS)
    def start(self, policy, cost):
        self.cost = cost
        self.queue = BatchQueue(policy)
        self.reference = ReferenceQueue(policy, cost)
        self.now_s = 0.0
        self.added, self.gone = [], []

    def area_s(self, lane):
        return float(lane.bucket[0] * lane.bucket[1])

    @rule(
        lanes=st.lists(LANES, min_size=1, max_size=3),
        places=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=12),
        patience_s=st.none() | st.integers(1, 9),
        clients=st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
    )
    def add(self, lanes, places, patience_s, clients):
        deadline_s = None if patience_s is None else self.now_s + patience_s
        for index, (delay_s, priority) in enumerate(places):
            window = QueuedWindow(
                lane=lanes[index % len(lanes)],
                due_s=self.now_s + delay_s,
                # Not in the order in which they are added: decoding takes its time.
                arrived_s=self.now_s - delay_s,
                deadline_s=deadline_s,
                priority=priority,
                cost_s=self.area_s(lanes[index % len(lanes)]),
                client=clients[index % len(clients)],
                payload=len(self.added),
            )
            self.queue.add(window)
            self.reference.add(window)
            self.added.append(window)

    @rule(elapsed_s=st.integers(1, 4))
    def let_time_pass(self, elapsed_s):
        self.now_s += elapsed_s

    @rule(times=st.integers(1, 4))
    def take(self, times):
        for _ in range(times):
            batch = self.queue.take(self.now_s, lambda key: self.cost)
            assert batch == self.reference.take(self.now_s)
            if batch is not None:
                self.gone += batch.windows

    @precondition(lambda self: self.added)
    @rule(first=st.integers(0), every=st.integers(1, 3))
    def cancel(self, first, every):
        for window in self.added[first % len(self.added) :: every]:
            waits = window in self.reference.waiting
            assert self.queue.cancel(window) == waits
            if waits:
                self.reference.waiting.remove(window)
                self.gone.append(window)

    @rule()
    def drop_expired(self):
        self.reference.expire(self.now_s)
        dropped = self.queue.drop_expired(self.now_s)
        assert sorted(w.payload for w in dropped) == sorted(
            w.payload for w in self.reference.expired
        )
        self.reference.expired = []
        self.gone += dropped

    @invariant()
    def the_counts_agree(self):
        assert len(self.queue) == len(self.reference.waiting)
        assert self.queue.pixels == sum(self.reference.area(w.lane) for w in self.reference.waiting)
        assert self.queue.next_event_s() == self.reference.next_event_s()

    def teardown(self):
        if not hasattr(self, "queue"):
            return
        self.now_s += 100
        self.take(len(self.added) + 1)
        self.drop_expired()
        assert len(self.queue) == 0
        assert sorted(w.payload for w in self.gone) == [w.payload for w in self.added]


TestQueueAgainstTheRules = QueueMachine.TestCase


@given(POLICIES, COSTS, st.integers(0, 2**32))
def test_batches_are_those_of_the_rules(policy, cost, seed):
    # Drawn by a generator of their own: lists drawn by hypothesis are mostly short and alike.
    rng = random.Random(seed)
    buckets = [(4, 4), (4, 8), (8, 4), (8, 8), (8, 12)]
    keys = rng.choices(["model", "other"], [4, 1], k=5)
    lanes = [Lane(key, rng.choice(buckets), rng.random() < 0.9) for key in keys]
    windows = [
        make_window(
            rng.choice(lanes), rng.randrange(9), cost_s=rng.randrange(4), client=rng.choice("abc")
        )
        for _ in range(rng.randrange(60))
    ]
    queue, reference = BatchQueue(policy), ReferenceQueue(policy, cost)
    fill(queue, *windows)
    for window in windows:
        reference.add(window)
    for window in windows:
        if rng.random() < 0.2:
            queue.cancel(window)
            reference.waiting.remove(window)

    for batch in take_all(queue, 20, cost):
        assert batch == reference.take(20)
    assert reference.waiting == []
