"""Backlog of each client, and whose turn it is: start-time fair queueing.

1. Each client has a virtual time: the seconds of work that it has been given. The client with the
   lowest virtual time is next. So clients with a backlog get equal work, whatever they queue.
2. A client that had nothing queued begins at the virtual time of the client served last. It has no
   credit for its idle time, and is served before everybody who has been served since.
3. When nothing is queued, all that was given is forgotten.

Goyal, Vin and Cheng, "Start-time Fair Queuing", IEEE/ACM Transactions on Networking 5(5), 1997.
"""

from __future__ import annotations

from collections.abc import Mapping

# Virtual times of fewer clients are not worth tidying.
_TIDY_CLIENTS = 64


class Backlog:
    """Queued windows and work of each client, and its virtual time.

    Attributes:
        work_s: Predicted seconds of the queued work of each client that has some, for one worker.
    """

    def __init__(self) -> None:
        self.work_s: dict[str, float] = {}
        self._windows: dict[str, int] = {}
        self._times_s: dict[str, float] = {}
        self._now_s = 0.0

    @property
    def times_s(self) -> Mapping[str, float]:
        """Virtual time of each client that has work queued, in seconds."""
        return self._times_s

    def add(self, client: str, cost_s: float) -> None:
        """Count a window that is queued."""
        windows = self._windows.get(client, 0)
        if not windows:
            self._times_s[client] = max(self._times_s.get(client, 0.0), self._now_s)
        self._windows[client] = windows + 1
        self.work_s[client] = self.work_s.get(client, 0.0) + cost_s

    def remove(self, client: str, cost_s: float) -> None:
        """Stop counting a window that leaves the queue."""
        windows = self._windows[client] - 1
        if windows:
            self._windows[client] = windows
            self.work_s[client] = max(self.work_s[client] - cost_s, 0.0)
        else:
            del self._windows[client], self.work_s[client]
            self._tidy()

    def begin_turn(self, client: str) -> None:
        """Record that a client is served next."""
        self._now_s = max(self._now_s, self._times_s[client])

    def serve(self, client: str, cost_s: float) -> None:
        """Add work that a client is given to its virtual time."""
        self._times_s[client] += cost_s

    def _tidy(self) -> None:
        """Forget the virtual times that no longer hold a client back."""
        if not self._windows:
            self._times_s.clear()
            self._now_s = 0.0
        elif len(self._times_s) > 2 * len(self._windows) + _TIDY_CLIENTS:
            self._times_s = {
                client: time_s
                for client, time_s in self._times_s.items()
                if client in self._windows or time_s > self._now_s
            }
