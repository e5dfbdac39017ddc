"""Dynamic batching: a queue that chooses the windows of the next model call.

1. A lane holds the windows that may share a call: they have the same key (model, version and
   outputs) and are padded to the same bucket. Windows with different keys never share a call.
2. Clients take turns: the one that was given the least work is next (`service.core.backlog`). So
   one client's backlog delays another's first window by one call at most, whatever was queued
   before. A client's windows are ordered by priority (highest first), then by due time, then by
   arrival. The due time of a window is when a worker would begin it if that worker served its
   request alone (`compute_due_times`). So small requests overtake the later windows of a huge
   image, but only if they arrive before those windows are due.
3. The number of windows in a batch is one of the policy's sizes: the largest that the lane can fill
   with n · H · W within `max_pixels`. A window that is larger than `max_pixels` is a batch of its
   own.
4. A lane is ready when it can fill the largest batch, or when its oldest window has waited
   `max_wait_s`. Among the ready lanes, the one whose first window is first by rule 2 is served, so
   a half-empty lane never blocks a full one.
5. A batch that empties its lane and could be larger is filled with smaller windows of other lanes
   with the same key, padded to its bucket, in the order of rule 2. A window joins only if its
   padding costs less than a call. The number that joins is the one that saves most, and again
   makes the batch one of the policy's sizes. A lane that can fill a batch of its own gives no
   windows away. A lane whose model must not be padded neither gives nor takes any.
6. A window leaves exactly once: in a batch, cancelled or expired. A window never enters a batch
   after its deadline; `drop_expired` returns it instead. The other windows are not affected.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, NamedTuple

from service.core.backlog import Backlog
from service.core.cost import BatchCost
from service.core.lanes import Lane, LaneQueue, QueuedWindow, TicketHeap

CostLookup = Callable[[Any], BatchCost | None]
"""Function from the key of a lane to the cost of its calls; None if the cost is not known."""


@dataclass(frozen=True)
class BatchPolicy:
    """Limits on the size of a batch and on the time that a window waits for it to fill.

    Attributes:
        max_pixels: Largest n · H · W of a batch; a larger window is a batch of its own. The demo
            model takes 0.5 µs per pixel and 0.3 ms per call, so 65,536 pixels occupy a worker for
            30 ms. Larger batches would save little and make other requests wait longer.
        max_wait_s: Seconds that a lane waits for a full batch. 0 by default: batches grow while all
            workers are busy, and an idle worker gains nothing by waiting.
        sizes: Allowed numbers of windows in a batch, ascending from 1. Few, because a runtime
            prepares itself for each shape.

    Raises:
        ValueError: if a value is out of range.
    """

    max_pixels: int = 65_536
    max_wait_s: float = 0.0
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)

    def __post_init__(self) -> None:
        if self.max_pixels < 1 or not 0 <= self.max_wait_s < math.inf:
            raise ValueError(
                "max_pixels must be at least 1 and max_wait_s at least 0 and finite; "
                f"they are {self.max_pixels} and {self.max_wait_s}"
            )
        if self.sizes[:1] != (1,) or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must ascend from 1; they are {self.sizes}")

    def choose_sizes(self, bucket: tuple[int, int]) -> tuple[int, ...]:
        """Return the allowed numbers of windows in a batch of this bucket (height, width)."""
        limit = max(1, self.max_pixels // (bucket[0] * bucket[1]))
        return tuple(size for size in self.sizes if size <= limit)


class Batch(NamedTuple):
    """Windows to run in one call.

    Attributes:
        lane: Lane of the batch; all windows are padded to its bucket.
        windows: Windows of this lane, followed by smaller windows that joined from other lanes.
    """

    lane: Lane
    windows: list[QueuedWindow]

    @property
    def pixels(self) -> int:
        """Number of pixels that the call computes, including padding."""
        height, width = self.lane.bucket
        return len(self.windows) * height * width


def compute_due_times(arrived_s: float, costs_s: Sequence[float]) -> list[float]:
    """Compute the due time of each window of a request.

    Args:
        arrived_s: Arrival time of the request, in seconds.
        costs_s: Predicted seconds of each window, in the order in which they will run.

    Returns:
        Times in seconds at which one worker would begin each window if it did nothing else.
    """
    return list(accumulate(costs_s, initial=arrived_s))[:-1]


class BatchQueue:
    """Queue of windows, in lanes. It reads no clock: the caller passes the time.

    Not thread-safe.

    Args:
        policy: Limits on batches.

    Attributes:
        backlog: Queued work of each client.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._pixels = 0
        self._last_ticket = 0
        self._tickets: dict[QueuedWindow, int] = {}
        self._windows: dict[int, QueuedWindow] = {}
        self._lanes: dict[Lane, LaneQueue] = {}
        self.backlog = Backlog()
        self._deadlines = TicketHeap(self._windows)
        self._expired: list[QueuedWindow] = []

    def __len__(self) -> int:
        """Return the number of queued windows."""
        return len(self._windows)

    @property
    def pixels(self) -> int:
        """Number of pixels of all queued windows, padded to their buckets."""
        return self._pixels

    def add(self, window: QueuedWindow) -> None:
        """Add a window to its lane.

        Raises:
            ValueError: if the window is already in the queue.
        """
        if window in self._tickets:
            raise ValueError("a window must be added once; this one is already in the queue")
        self._last_ticket = ticket = self._last_ticket + 1
        self._tickets[window] = ticket
        self._windows[ticket] = window
        lane = self._lanes.get(window.lane)
        if lane is None:
            sizes = self._policy.choose_sizes(window.lane.bucket)
            lane = LaneQueue(window.lane, sizes, self._windows, self.backlog)
            self._lanes[window.lane] = lane
        self.backlog.add(window.client, window.cost_s)
        lane.add(window, ticket)
        self._pixels += lane.window_pixels
        if window.deadline_s is not None:
            self._deadlines.push((window.deadline_s, ticket))

    def cancel(self, window: QueuedWindow) -> bool:
        """Remove a window.

        Returns:
            True if the window was still in the queue.
        """
        if window not in self._tickets:
            return False
        self._remove(window)
        return True

    def drop_expired(self, now_s: float) -> list[QueuedWindow]:
        """Remove and return the windows whose deadline has passed, earliest deadline first."""
        self._expire(now_s)
        dropped, self._expired = self._expired, []
        return dropped

    def take(self, now_s: float, costs: CostLookup | None = None) -> Batch | None:
        """Remove and return the batch to run now.

        Expired windows are not in it; `drop_expired` returns them.

        Args:
            now_s: Current time in seconds.
            costs: Costs of calls, by which windows join a larger bucket; if None, none join.

        Returns:
            The batch; None if no lane is ready.
        """
        self._expire(now_s)
        ready = (lane for lane in self._lanes.values() if self._is_ready(lane, now_s))
        chosen = min(ready, key=LaneQueue.peek, default=None)
        if chosen is None:
            return None
        cost = costs(chosen.lane.key) if costs else None
        joining = self._choose_joining(chosen, cost) if cost else []
        own = chosen.count if joining else chosen.choose_size(chosen.count)
        windows = [self._windows[ticket] for ticket in chosen.take_first(own) + joining]
        for window in windows[own:]:
            self.backlog.serve(window.client, window.cost_s)
        for window in windows:
            self._remove(window)
        return Batch(chosen.lane, windows)

    def next_event_s(self) -> float | None:
        """Return the time in seconds at which the queue needs attention if no window is added.

        Returns:
            The earlier of two times: when a window has waited `max_wait_s`, and when a deadline
            passes. It may lie in the past. None if the queue is empty.
        """
        events = [lane.oldest_s + self._policy.max_wait_s for lane in self._lanes.values()]
        if self._deadlines:
            events.append(self._deadlines.peek()[0])
        events += [window.deadline_s for window in self._expired if window.deadline_s is not None]
        return min(events, default=None)

    def _is_ready(self, lane: LaneQueue, now_s: float) -> bool:
        max_wait_s = self._policy.max_wait_s
        return max_wait_s == 0 or lane.is_full or lane.oldest_s + max_wait_s <= now_s

    def _expire(self, now_s: float) -> None:
        while self._deadlines and self._deadlines.peek()[0] <= now_s:
            window = self._windows[self._deadlines.peek()[-1]]
            self._remove(window)
            self._expired.append(window)

    def _remove(self, window: QueuedWindow) -> None:
        del self._windows[self._tickets.pop(window)]
        lane = self._lanes[window.lane]
        self._pixels -= lane.window_pixels
        lane.drop(window)
        self.backlog.remove(window.client, window.cost_s)
        if not lane.count:
            del self._lanes[window.lane]
        if window.deadline_s is not None:
            self._deadlines.tidy(len(self._windows))

    def _choose_joining(self, host: LaneQueue, cost: BatchCost) -> list[int]:
        """Return the tickets of the smaller windows that join the host lane's batch."""
        if host.is_full or not host.lane.may_pad:
            return []
        donors = [lane for lane in self._lanes.values() if _may_join(lane, host, cost)]
        waiting = sum(donor.count for donor in donors)
        room = host.choose_size(host.count + waiting) - host.count
        if room <= 0:
            return []
        orders = chain.from_iterable(donor.iterate() for donor in donors)
        first = [entry[-1] for _, entry in heapq.nsmallest(room, orders)]
        givers = [self._lanes[self._windows[ticket].lane] for ticket in first]
        return first[: _choose_number(host, givers, cost)]


def _choose_number(host: LaneQueue, givers: Sequence[LaneQueue], cost: BatchCost) -> int:
    """Choose how many windows join the host lane's batch.

    Args:
        host: Lane whose batch they join.
        givers: Lane that each candidate leaves, in the order in which they would join.
        cost: Cost of a call.
    """
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


def _may_join(donor: LaneQueue, host: LaneQueue, cost: BatchCost) -> bool:
    """Return True if padding the donor's windows to the host's bucket is allowed and pays."""
    return (
        donor is not host
        and not donor.is_full
        and host.window_pixels - donor.window_pixels < cost.call_pixels
        and donor.lane.may_pad
        and donor.lane.bucket[0] <= host.lane.bucket[0]
        and donor.lane.bucket[1] <= host.lane.bucket[1]
        and donor.lane.key == host.lane.key
    )
