"""Whether the engine makes progress."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.dispatcher import Dispatcher

WATCHDOG_S = 60.0
"""The largest window takes a second on one core; a call of a minute has not been slow, it hangs."""


@dataclass(frozen=True)
class Watchdog:
    """Tells a call that hangs from one that is slow.

    Attributes:
        dispatcher: whose calls are watched.
        limit_s: how long one may take.
    """

    dispatcher: Dispatcher
    limit_s: float = WATCHDOG_S

    def find_hang_s(self) -> float | None:
        """Give how long a call has been running if that is beyond the limit, else None."""
        running_s = self.dispatcher.find_longest_run_s()
        return running_s if running_s > self.limit_s else None
