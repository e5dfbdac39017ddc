"""Load of the server, and the waits that it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class Load:
    """Current load of the server.

    Attributes:
        waiting_s: Predicted seconds of the work that waits, for one worker.
        running_s: Predicted seconds until the running calls are done, summed over all workers.
        workers: Number of workers.
        pending: Number of requests that are admitted and not yet answered.
        pending_bytes: Sum of their bodies, in bytes.
        idle: Number of idle workers.
        ahead_s: Part of `waiting_s` that a new request of a certain client waits for; None for all.

    Raises:
        ValueError: if there is no worker, or there are more idle workers than workers.
    """

    waiting_s: float
    running_s: float
    workers: int
    pending: int
    pending_bytes: int
    idle: int = 0
    ahead_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.idle <= self.workers or self.workers < 1:
            raise ValueError(
                "workers must be at least 1 and idle between 0 and workers; "
                f"they are {self.workers} and {self.idle}"
            )


class ClientLoad(NamedTuple):
    """Part of the load that one client causes.

    Attributes:
        pending: Number of its pending requests.
        pending_bytes: Sum of their bodies, in bytes.
        waiting_s: Predicted seconds of its work that waits, for one worker.
    """

    pending: int
    pending_bytes: int
    waiting_s: float = 0.0


def predict_ahead(work_s: Mapping[str, float], client: str) -> float:
    """Predict the work that runs before a new request of a client.

    Args:
        work_s: Predicted seconds of each client's work that waits.
        client: Client of the request.

    Returns:
        Its own work that waits, and as much of each other client's, because they take turns.
    """
    own_s = work_s.get(client, 0.0)
    return sum(min(other_s, own_s) for other_s in work_s.values()) if own_s else 0.0


def predict_wait(load: Load) -> float:
    """Predict the seconds until a worker would begin a request that is queued now."""
    ahead_s = load.waiting_s if load.ahead_s is None else load.ahead_s
    wait_s = (ahead_s + load.running_s) / load.workers
    # Idle workers take queued work before the busy workers are done.
    return min(wait_s, ahead_s / load.idle) if load.idle else wait_s


def predict_drain(load: Load) -> float:
    """Predict the seconds until all waiting and running work is done."""
    return (load.waiting_s + load.running_s) / load.workers
