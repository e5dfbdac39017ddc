"""Autoscaling of the application of Ray Serve, by what the engine's queue says.

Ray Serve asks every replica for its statistics, takes means of them over a time, and calls the
policy in its controller, which knows neither TensorFlow nor the engine.
"""

from __future__ import annotations

from typing import Any, Protocol

WAITING = "lacuna_waiting_s"
"""Statistic: predicted seconds in which a replica has done the work of its queue."""

BUSY = "lacuna_busy"
"""Statistic: part of a replica's workers that run a batch, 0 to 1."""


class ScalingContext(Protocol):
    """Facts that Ray Serve passes to a policy, as far as this one needs them."""

    aggregated_metrics: dict[str, dict[Any, float]] | None
    target_num_replicas: int


class QueuePolicy:
    """Policy that has as many replicas as keep the queue short, and none too many.

    Ray Serve holds what it wants to the limits and delays of the configuration.

    Args:
        target_waiting_s: seconds of waiting work that each replica may have.
        target_busy: part of the workers that should be busy, 0 to 1. By the queue alone, replicas
            that are all busy would be removed as soon as nothing waits.

    Raises:
        ValueError: if one of them is not positive.
    """

    def __init__(self, target_waiting_s: float = 0.5, target_busy: float = 0.7) -> None:
        if target_waiting_s <= 0 or target_busy <= 0:
            raise ValueError(
                "target_waiting_s and target_busy must be more than 0; they are "
                f"{target_waiting_s} and {target_busy}"
            )
        self._target_waiting_s, self._target_busy = target_waiting_s, target_busy

    def __call__(self, context: ScalingContext) -> tuple[float, dict[str, Any]]:
        """Return the number of replicas that is wanted, and no state."""
        found = context.aggregated_metrics or {}
        if not found.get(BUSY):
            return context.target_num_replicas, {}  # no replica has told anything yet
        waiting_s, busy = sum(found.get(WAITING, {}).values()), sum(found[BUSY].values())
        return max(waiting_s / self._target_waiting_s, busy / self._target_busy), {}
