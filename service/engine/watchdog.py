"""Detection of model calls that hang."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.dispatcher import Dispatcher

WATCHDOG_S = 60.0
"""Default limit in seconds. The largest window takes about 1 s on one core, so a call of a minute
hangs."""


@dataclass(frozen=True)
class Watchdog:
    """Watchdog over the dispatcher's model calls.

    Attributes:
        dispatcher: Dispatcher whose calls are watched.
        limit_s: Seconds after which a call counts as hanging.
    """

    dispatcher: Dispatcher
    limit_s: float = WATCHDOG_S

    def find_hang_s(self) -> float | None:
        """Return the seconds of the oldest call if it is beyond the limit; None otherwise."""
        running_s = self.dispatcher.find_longest_run_s()
        return running_s if running_s > self.limit_s else None
