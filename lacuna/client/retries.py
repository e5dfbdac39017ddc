"""Rules of trying again. They only decide: no clock, no sleep.

1. A request is tried again if the server refuses it for the moment (429, 502, 503), or if the
   connection cannot be made or breaks. Segmenting an image twice changes nothing.
2. A request that is at fault, or that took too long, is not tried again: it would fail again.
3. The next try is never sooner than the server's `Retry-After`, and a random time later, so that
   clients that were refused together do not come back together.
4. Without `Retry-After`, or with one of 0, waits double from the first to the longest.
5. The time of all tries is limited, from the start of the first. A wait that would go beyond the
   limit is not begun.
6. If the server has never answered, the URL is probably wrong, and the limit is short.
"""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.client.failures import Failure

_SPREAD = 0.1
"""Largest random addition to a `Retry-After`, as a fraction of it."""


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of trying again.

    Attributes:
        patience_s: seconds after the start of the first try in which another one may begin; 0 for
            one try. A server takes about 60 s to restart: it loads, checks and warms its model.
        first_answer_s: the same for a server that has never answered this client.
        first_wait_s: seconds before the second try.
        max_wait_s: longest wait before a try, unless the server's `Retry-After` is longer.

    Raises:
        ValueError: if one is negative.
    """

    patience_s: float = 60.0
    first_answer_s: float = 2.0
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0

    def __post_init__(self) -> None:
        if min(self.patience_s, self.first_answer_s, self.first_wait_s, self.max_wait_s) < 0:
            raise ValueError(f"seconds to retry must be at least 0; they are {self}")


def choose_wait(
    policy: RetryPolicy,
    failure: Failure,
    tries: int,
    elapsed_s: float,
    chance: float,
    *,
    has_answered: bool = True,
) -> float | None:
    """Decide whether and when to try again after a failure.

    Args:
        policy: limits.
        failure: of the last try.
        tries: so far, at least 1.
        elapsed_s: since the first one began.
        chance: random number, uniform from 0 to 1.
        has_answered: whether the server has ever answered this client.

    Returns:
        Seconds to wait before the next try; None to stop trying.
    """
    if not failure.may_pass:
        return None
    if failure.retry_after_s:
        wait_s = failure.retry_after_s * (1 + _SPREAD * chance)
    else:
        # The power is bounded so that no float overflows; the wait is bounded long before.
        longest_s = min(policy.first_wait_s * 2.0 ** min(tries - 1, 63), policy.max_wait_s)
        wait_s = longest_s * (1 + chance) / 2
    patience_s = policy.patience_s
    if not has_answered:
        patience_s = min(patience_s, policy.first_answer_s)
    return wait_s if elapsed_s + wait_s <= patience_s else None
