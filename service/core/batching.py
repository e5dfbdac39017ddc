"""Which windows go into a model together, and when.

1. Windows that may share a call stand in one lane: same model, version and outputs (the key), and
   padded to the same bucket. Different keys never share.
2. In a lane the higher priority goes first, then what is due earlier, then what came earlier. A
   window is due when a worker would begin with it if its request had that worker for itself
   (`stagger`), so a huge image's later windows let small requests pass, and are passed only by what
   has come before they were due.
3. A batch has one of the policy's sizes: the largest that is no more than what waits in the lane
   and keeps n · H · W within `max_pixels`; at least one window, however large.
4. A lane is ready when it has a full batch, or its oldest window has waited `max_wait_s`. Of the
   ready lanes the one with the first window goes, by the order of rule 2, so a half-empty lane
   never blocks a full one.
5. If a batch takes all of its lane and could be larger, smaller windows of other lanes of the key
   join it, padded up, first come by rule 2: each only if padding it costs less than a call, and so
   many of them as save most, if the calls saved cost more than the padding added. The number is
   one of the policy's sizes again. A lane with a full batch of its own gives none away; a lane
   that may not pad neither gives nor takes.
6. A window leaves exactly once: in a batch, cancelled, or expired. One whose deadline has come is
   never in a batch; `drop_expired` hands it over. Its neighbours notice nothing.

Heaps hold orders and tickets, not windows: who leaves from the middle of a heap is forgotten at
once, and its entry goes when it comes to the front or when half of the heap has become empty.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, NamedTuple

from service.core.cost import BatchCost

Costs = Callable[[Any], BatchCost | None]
"""Gives what a call costs for a key; None where that is not known."""

# Heaps smaller than this are not worth tidying.
_TIDY_ENTRIES = 16


@dataclass(frozen=True)
class BatchPolicy:
    """How large a batch may be, and how long a window waits for it to fill.

    Attributes:
        max_pixels: n · H · W of a batch; a single larger window is a batch of its own. With the
            demo's half a microsecond a pixel, 65,536 keep a worker busy for 30 ms, in which a call
            of 0.3 ms is lost already: larger batches would only let others wait.
        max_wait_s: seconds that a lane waits for a full batch. 0, since batches grow by themselves
            while workers are busy, and an idle worker gains nothing by waiting.
        sizes: numbers of windows that a runtime is called with, ascending from 1: few, since each
            is a shape of its own.

    Raises:
        ValueError: if one is out of its range.
    """

    max_pixels: int = 65_536
    max_wait_s: float = 0.0
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)

    def __post_init__(self) -> None:
        if self.max_pixels < 1 or not 0 <= self.max_wait_s < math.inf:
            raise ValueError(
                "max_pixels must be at least 1 and max_wait_s at least 0; "
                f"they are {self.max_pixels} and {self.max_wait_s}"
            )
        if self.sizes[:1] != (1,) or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must ascend from 1; they are {self.sizes}")

    def choose_sizes(self, bucket: tuple[int, int]) -> tuple[int, ...]:
        """List the numbers of windows of this bucket that a runtime may be called with."""
        limit = max(1, self.max_pixels // (bucket[0] * bucket[1]))
        return tuple(size for size in self.sizes if size <= limit)


class Lane(NamedTuple):
    """Windows that may share a call.

    Attributes:
        key: what they must have in common besides the bucket: model, version, outputs.
        bucket: height and width that they are padded to.
        may_pad: whether a window may be padded to a larger bucket than it needs.
    """

    key: Hashable
    bucket: tuple[int, int]
    may_pad: bool = True


@dataclass(eq=False, slots=True)
class Waiting:
    """A window that waits. Its fields must not change while it does.

    Attributes:
        lane: where it stands.
        due_s: its place in the order; see `stagger`.
        arrived_s: when it came.
        deadline_s: from when on it must not be run; None if never.
        priority: larger is sooner.
        payload: whatever belongs to it.
    """

    lane: Lane
    due_s: float
    arrived_s: float
    deadline_s: float | None = None
    priority: int = 0
    payload: Any = None


class Batch(NamedTuple):
    """Windows to be run in one call.

    Attributes:
        lane: whose bucket they are all padded to.
        windows: first those of this lane, then smaller ones that have joined.
    """

    lane: Lane
    windows: list[Waiting]

    @property
    def pixels(self) -> int:
        """Number of pixels that are computed, padding included."""
        height, width = self.lane.bucket
        return len(self.windows) * height * width


def stagger(arrived_s: float, costs_s: Sequence[float]) -> list[float]:
    """Give when each window of a request is due.

    Args:
        arrived_s: when the request came.
        costs_s: predicted seconds of each of its windows, in the order in which they are to be run.

    Returns:
        When one worker would begin with each, if it did nothing else.
    """
    return list(accumulate(costs_s, initial=arrived_s))[:-1]


class BatchQueue:
    """Windows that wait, in lanes. Knows no clock: every time is the caller's.

    Not safe for threads by itself.

    Args:
        policy: how large batches are, and how long they are waited for.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._pixels = 0
        self._last_ticket = 0
        self._tickets: dict[Waiting, int] = {}
        self._windows: dict[int, Waiting] = {}
        self._lanes: dict[Lane, _WaitingLane] = {}
        self._deadlines = _Heap(self._windows)
        self._expired: list[Waiting] = []

    def __len__(self) -> int:
        """Give the number of windows that wait."""
        return len(self._windows)

    @property
    def pixels(self) -> int:
        """Number of pixels of the buckets of all windows that wait."""
        return self._pixels

    def add(self, window: Waiting) -> None:
        """Let a window wait.

        Raises:
            ValueError: if it waits already.
        """
        if window in self._tickets:
            raise ValueError("a window must be added once; this one waits already")
        self._last_ticket = ticket = self._last_ticket + 1
        self._tickets[window] = ticket
        self._windows[ticket] = window
        lane = self._lanes.get(window.lane)
        if lane is None:
            sizes = self._policy.choose_sizes(window.lane.bucket)
            lane = self._lanes[window.lane] = _WaitingLane(window.lane, sizes, self._windows)
        lane.add(window, ticket)
        self._pixels += lane.window_pixels
        if window.deadline_s is not None:
            self._deadlines.push((window.deadline_s, ticket))

    def cancel(self, window: Waiting) -> bool:
        """Take a window out.

        Returns:
            Whether it still waited.
        """
        if window not in self._tickets:
            return False
        self._remove(window)
        return True

    def drop_expired(self, now_s: float) -> list[Waiting]:
        """Take out the windows whose deadline has come, earliest first."""
        self._expire(now_s)
        dropped, self._expired = self._expired, []
        return dropped

    def take(self, now_s: float, costs: Costs | None = None) -> Batch | None:
        """Take out the batch that is to be run now.

        Windows that have expired by now are left to `drop_expired`.

        Args:
            now_s: the time.
            costs: what calls cost, to decide which windows join a larger bucket; none do if None.

        Returns:
            None if no lane is ready.
        """
        self._expire(now_s)
        ready = (lane for lane in self._lanes.values() if self._is_ready(lane, now_s))
        chosen = min(ready, key=_WaitingLane.first, default=None)
        if chosen is None:
            return None
        cost = costs(chosen.lane.key) if costs else None
        joining = self._choose_joining(chosen, cost) if cost else []
        own = chosen.count if joining else chosen.choose_size(chosen.count)
        windows = [self._windows[ticket] for ticket in chosen.orders.take_first(own) + joining]
        for window in windows:
            self._remove(window)
        return Batch(chosen.lane, windows)

    def next_event_s(self) -> float | None:
        """Give when to look at the queue again if nothing is added: for a wait with a timeout.

        Returns:
            When the first window will have waited `max_wait_s`, or the first deadline comes,
            whichever is earlier: a time in the past if that has happened already. None if nothing
            waits.
        """
        events = [lane.oldest_s + self._policy.max_wait_s for lane in self._lanes.values()]
        if self._deadlines:
            events.append(self._deadlines.first()[0])
        events += [window.deadline_s for window in self._expired if window.deadline_s is not None]
        return min(events, default=None)

    def _is_ready(self, lane: _WaitingLane, now_s: float) -> bool:
        max_wait_s = self._policy.max_wait_s
        return max_wait_s == 0 or lane.is_full or lane.oldest_s + max_wait_s <= now_s

    def _expire(self, now_s: float) -> None:
        while self._deadlines and self._deadlines.first()[0] <= now_s:
            window = self._windows[self._deadlines.first()[-1]]
            self._remove(window)
            self._expired.append(window)

    def _remove(self, window: Waiting) -> None:
        del self._windows[self._tickets.pop(window)]
        lane = self._lanes[window.lane]
        self._pixels -= lane.window_pixels
        lane.drop()
        if not lane.count:
            del self._lanes[window.lane]
        if window.deadline_s is not None:
            self._deadlines.tidy(len(self._windows))

    def _choose_joining(self, host: _WaitingLane, cost: BatchCost) -> list[int]:
        """Choose the tickets of the smaller windows that join a lane's batch."""
        if host.is_full or not host.lane.may_pad:
            return []
        donors = [lane for lane in self._lanes.values() if _may_join(lane, host, cost)]
        waiting = sum(donor.count for donor in donors)
        room = host.choose_size(host.count + waiting) - host.count
        if room <= 0:
            return []
        orders = chain.from_iterable(donor.orders.live() for donor in donors)
        first = [order[-1] for order in heapq.nsmallest(room, orders)]
        givers = [self._lanes[self._windows[ticket].lane] for ticket in first]
        return first[: _choose_number(host, givers, cost)]


def _choose_number(host: _WaitingLane, givers: Sequence[_WaitingLane], cost: BatchCost) -> int:
    """Choose how many windows join a lane's batch, given whose each of them would be in turn."""
    left = {giver: giver.count for giver in givers}
    saved_calls = host.count_calls(host.count) - 1
    padding_pixels, best, best_pixels = 0, 0, 0.0
    for number, giver in enumerate(givers, start=1):
        saved_calls += giver.count_calls(left[giver])
        left[giver] -= 1
        saved_calls -= giver.count_calls(left[giver])
        padding_pixels += host.window_pixels - giver.window_pixels
        saved_pixels = saved_calls * cost.call_pixels - padding_pixels
        if host.count + number in host.sizes and saved_pixels > best_pixels:
            best, best_pixels = number, saved_pixels
    return best


def _may_join(donor: _WaitingLane, host: _WaitingLane, cost: BatchCost) -> bool:
    """Tell whether windows of one lane may be padded to the bucket of another, and if that pays."""
    return (
        donor is not host
        and not donor.is_full
        and host.window_pixels - donor.window_pixels < cost.call_pixels
        and donor.lane.may_pad
        and donor.lane.bucket[0] <= host.lane.bucket[0]
        and donor.lane.bucket[1] <= host.lane.bucket[1]
        and donor.lane.key == host.lane.key
    )


class _Heap:
    """Entries that end with a ticket; the first is always that of a window that waits."""

    __slots__ = ("_entries", "_windows")

    def __init__(self, windows: Mapping[int, Waiting]) -> None:
        self._windows = windows
        self._entries: list[tuple[Any, ...]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def first(self) -> tuple[Any, ...]:
        return self._entries[0]

    def push(self, entry: tuple[Any, ...]) -> None:
        heapq.heappush(self._entries, entry)

    def live(self) -> Iterator[tuple[Any, ...]]:
        """Give the entries of windows that wait, in no order."""
        return (entry for entry in self._entries if entry[-1] in self._windows)

    def take_first(self, number: int) -> list[int]:
        """Take out the first entries of windows that wait, and give their tickets."""
        tickets: list[int] = []
        while len(tickets) < number:
            ticket = heapq.heappop(self._entries)[-1]
            if ticket in self._windows:
                tickets.append(ticket)
        return tickets

    def tidy(self, count: int) -> None:
        """Forget entries of windows that have left.

        Args:
            count: how many entries may belong to windows that wait.
        """
        entries = self._entries
        if len(entries) > 2 * count + _TIDY_ENTRIES:
            self._entries = entries = list(self.live())
            heapq.heapify(entries)
        while entries and entries[0][-1] not in self._windows:
            heapq.heappop(entries)


class _WaitingLane:
    """A lane in which at least one window waits."""

    __slots__ = ("_arrivals", "count", "lane", "orders", "sizes", "window_pixels")

    def __init__(self, lane: Lane, sizes: tuple[int, ...], windows: Mapping[int, Waiting]) -> None:
        self.lane = lane
        self.sizes = sizes
        self.window_pixels = lane.bucket[0] * lane.bucket[1]
        self.count = 0
        self.orders = _Heap(windows)
        self._arrivals = _Heap(windows)

    @property
    def is_full(self) -> bool:
        """Whether a batch of the largest size waits."""
        return self.count >= self.sizes[-1]

    @property
    def oldest_s(self) -> float:
        """When the window came that has waited longest."""
        arrived_s: float = self._arrivals.first()[0]
        return arrived_s

    def first(self) -> tuple[Any, ...]:
        """Give the place of the first window among those of all lanes."""
        return self.orders.first()

    def add(self, window: Waiting, ticket: int) -> None:
        """Note that a window has come."""
        self.orders.push((-window.priority, window.due_s, ticket))
        self._arrivals.push((window.arrived_s, ticket))
        self.count += 1

    def drop(self) -> None:
        """Note that a window has left."""
        self.count -= 1
        self.orders.tidy(self.count)
        self._arrivals.tidy(self.count)

    def choose_size(self, count: int) -> int:
        """Give the largest size of a batch when so many windows could go."""
        return self.sizes[bisect_right(self.sizes, count) - 1]

    def count_calls(self, count: int) -> int:
        """Give the number of calls that so many windows take, each as large as can be."""
        calls = 0
        for size in reversed(self.sizes):
            calls += count // size
            count %= size
        return calls
