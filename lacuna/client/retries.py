"""Whether to try again, and when. Decides only: no clock, no sleep.

1. What the server refuses for the moment (429, 503) is tried again, and so is a connection that
   cannot be made or breaks: segmenting an image twice changes nothing.
2. A request that is at fault, or that took too long, is not: it would fare no better.
3. The server knows best: never sooner than its `Retry-After`, and a little later each, so that
   those who were refused together do not come back together.
4. Where it says nothing, waits double from the first to the longest.
5. Patience has an end, counted from the first try. A wait that would go beyond it is not begun.
6. Where nobody has ever answered, the URL is likely wrong, and patience is short.
"""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.client.failures import Failure

_SPREAD = 0.1
"""Of a `Retry-After`, added to it by chance at most."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long to keep trying.

    Attributes:
        patience_s: seconds after the first try in which another one may begin; 0 for one try. 60 is
            what a server takes to restart, with its model loaded, checked and warmed.
        stranger_s: the same for a connection to a server that has not answered this client yet.
        first_wait_s: before the second try.
        max_wait_s: before any other, unless the server says so itself.

    Raises:
        ValueError: if one is negative.
    """

    patience_s: float = 60.0
    stranger_s: float = 2.0
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0

    def __post_init__(self) -> None:
        if min(self.patience_s, self.stranger_s, self.first_wait_s, self.max_wait_s) < 0:
            raise ValueError(f"seconds to retry must be at least 0; they are {self}")


def choose_wait(
    policy: RetryPolicy,
    failure: Failure,
    tries: int,
    elapsed_s: float,
    chance: float,
    *,
    stranger: bool = False,
) -> float | None:
    """Decide what follows a failure.

    Args:
        policy: how long to keep trying.
        failure: of the last try.
        tries: so far, at least 1.
        elapsed_s: since the first one began.
        chance: from 0 to 1, evenly.
        stranger: the server has not answered this client yet, whatever it was asked.

    Returns:
        Seconds to wait before the next try; None to give up.
    """
    if not failure.may_pass:
        return None
    if failure.retry_after_s is not None:
        wait_s = failure.retry_after_s * (1 + _SPREAD * chance)
    else:
        # The power is bounded so that no float overflows; the wait is bounded long before.
        longest_s = min(policy.first_wait_s * 2.0 ** min(tries - 1, 63), policy.max_wait_s)
        wait_s = longest_s * (1 + chance) / 2
    patience_s = min(policy.patience_s, policy.stranger_s) if stranger else policy.patience_s
    return wait_s if elapsed_s + wait_s <= patience_s else None
