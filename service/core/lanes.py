"""Lanes of queued windows, on heaps with lazy deletion.

A heap holds sort keys and tickets, not windows, so a window that leaves the queue is freed at once.
Its entry stays until it reaches the front of the heap, or until more than half of the entries are
stale.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lacuna.windows.window import Window
from service.core.backlog import Backlog

# Heaps smaller than this are not worth tidying.
_TIDY_ENTRIES = 16


class Lane(NamedTuple):
    """Identity of a lane: windows with equal lanes may share a call.

    Attributes:
        key: Model, version and outputs that the windows have in common.
        bucket: Height and width in pixels that the windows are padded to.
        may_pad: True if a window may be padded to a larger bucket than it needs.
        keep: Window of the bucket that is computed; None for all of it.
        strips: Number of pixels of the strips that are computed; None if it is not on strips.
    """

    key: Hashable
    bucket: tuple[int, int]
    may_pad: bool = True
    keep: Window | None = None
    strips: int | None = None


@dataclass(eq=False, slots=True)
class QueuedWindow:
    """Window in the queue. Its fields must not change while it is queued.

    Attributes:
        lane: Lane that it is queued in.
        due_s: Due time in seconds, by which the lane is ordered; see `compute_due_times`.
        arrived_s: Arrival time in seconds.
        cost_s: Predicted seconds on one worker.
        client: Client whose turn the window takes; empty if unknown.
        deadline_s: Time in seconds after which it must not run; None if there is no deadline.
        priority: Priority among the windows of its client; higher runs first.
        payload: Data of the caller.
    """

    lane: Lane
    due_s: float
    arrived_s: float
    cost_s: float = 0.0
    client: str = ""
    deadline_s: float | None = None
    priority: int = 0
    payload: Any = None


class TicketHeap:
    """Heap of entries that end with a ticket. Its first entry always belongs to a queued window."""

    __slots__ = ("_entries", "_windows")

    def __init__(self, windows: Mapping[int, QueuedWindow]) -> None:
        self._windows = windows
        self._entries: list[tuple[Any, ...]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def peek(self) -> tuple[Any, ...]:
        """Return the first entry."""
        return self._entries[0]

    def push(self, entry: tuple[Any, ...]) -> None:
        """Add an entry."""
        heapq.heappush(self._entries, entry)

    def iterate(self) -> Iterator[tuple[Any, ...]]:
        """Return the entries of queued windows, in no particular order."""
        return (entry for entry in self._entries if entry[-1] in self._windows)

    def take(self) -> int:
        """Remove the first entry and return its ticket."""
        ticket: int = heapq.heappop(self._entries)[-1]
        self._skip_stale()
        return ticket

    def tidy(self, count: int) -> None:
        """Remove stale entries from the front, and all of them once they are the majority.

        Args:
            count: Upper bound on the number of entries of queued windows.
        """
        if len(self._entries) > 2 * count + _TIDY_ENTRIES:
            self._entries = list(self.iterate())
            heapq.heapify(self._entries)
        self._skip_stale()

    def _skip_stale(self) -> None:
        while self._entries and self._entries[0][-1] not in self._windows:
            heapq.heappop(self._entries)


Order = tuple[float, tuple[Any, ...]]
"""Sort key of a window: virtual time of its client, and its place among the client's windows."""


class LaneQueue:
    """Queue of the windows of one lane; never empty while the lane exists.

    Args:
        lane: Lane of the windows.
        sizes: Allowed numbers of windows in a batch, ascending from 1.
        windows: All queued windows by their tickets.
        backlog: Backlog of the clients, by whose virtual times the windows are ordered.
    """

    __slots__ = (
        "_arrivals",
        "_backlog",
        "_orders",
        "_windows",
        "count",
        "lane",
        "sizes",
        "window_pixels",
    )

    def __init__(
        self,
        lane: Lane,
        sizes: tuple[int, ...],
        windows: Mapping[int, QueuedWindow],
        backlog: Backlog,
    ) -> None:
        self.lane = lane
        self.sizes = sizes
        self.window_pixels = lane.bucket[0] * lane.bucket[1]
        self.count = 0
        self._windows = windows
        self._backlog = backlog
        self._orders: dict[str, TicketHeap] = {}
        self._arrivals = TicketHeap(windows)

    @property
    def is_full(self) -> bool:
        """True if the lane can fill a batch of the largest size."""
        return self.count >= self.sizes[-1]

    @property
    def oldest_s(self) -> float:
        """Arrival time in seconds of the window that has waited longest."""
        arrived_s: float = self._arrivals.peek()[0]
        return arrived_s

    def peek(self) -> Order:
        """Return the sort key of the first window, comparable between lanes."""
        times_s = self._backlog.times_s
        return min((times_s[client], heap.peek()) for client, heap in self._orders.items())

    def iterate(self) -> Iterator[Order]:
        """Return the sort keys of all windows, in no particular order."""
        times_s = self._backlog.times_s
        for client, heap in self._orders.items():
            time_s = times_s[client]
            for entry in heap.iterate():
                yield time_s, entry

    def add(self, window: QueuedWindow, ticket: int) -> None:
        """Add a window under its ticket."""
        heap = self._orders.get(window.client)
        if heap is None:
            heap = self._orders[window.client] = TicketHeap(self._windows)
        heap.push((-window.priority, window.due_s, ticket))
        self._arrivals.push((window.arrived_s, ticket))
        self.count += 1

    def take_first(self, number: int) -> list[int]:
        """Remove the first windows from the order and return their tickets.

        Each goes to the client with the lowest virtual time, to which it is added.
        """
        times_s = self._backlog.times_s
        turns = [(times_s[client], heap.peek(), client) for client, heap in self._orders.items()]
        heapq.heapify(turns)
        self._backlog.begin_turn(turns[0][-1])
        tickets: list[int] = []
        while len(tickets) < number:
            client = turns[0][-1]
            heap = self._orders[client]
            ticket = heap.take()
            tickets.append(ticket)
            self._backlog.serve(client, self._windows[ticket].cost_s)
            if heap:
                heapq.heapreplace(turns, (times_s[client], heap.peek(), client))
            else:
                heapq.heappop(turns)
        return tickets

    def drop(self, window: QueuedWindow) -> None:
        """Count a window that has left."""
        self.count -= 1
        self._arrivals.tidy(self.count)
        heap = self._orders.get(window.client)
        if heap is not None:
            heap.tidy(self.count)
            if not heap:
                del self._orders[window.client]

    def choose_size(self, count: int) -> int:
        """Return the largest allowed batch size that `count` windows can fill."""
        return self.sizes[bisect_right(self.sizes, count) - 1]

    def count_calls(self, count: int) -> int:
        """Return the number of calls for `count` windows, each call as large as possible."""
        calls = 0
        for size in reversed(self.sizes):
            calls += count // size
            count %= size
        return calls
