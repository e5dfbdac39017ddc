"""Arithmetic of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), as its documentation says.

1. A metric proposes a number of pods: the present number times its mean per pod divided by the
   target. Within the tolerance nothing changes. A pod without a value yet counts as 0 where the
   proposal is to grow, and as the target where it is to shrink; one that is not ready for the
   metric counts only where the proposal is to grow.
2. Of the proposals of several metrics, the largest counts.
3. The number shrinks to the largest proposal within the stabilization window, and grows to the
   smallest within its own, which is 0 s by default.
4. Policies limit the change within their period. The one that allows most counts.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

SYNC_S = 15.0
"""Seconds between two decisions, as the controller has them by default."""

TOLERANCE = 0.1
"""Largest deviation from the target at which nothing changes, by default."""

# Ratios of floating-point numbers must not round up to a further pod.
_SLACK = 1e-9


class Policy(NamedTuple):
    """Limit on a change of the number of pods.

    Attributes:
        kind: Unit of the value.
        value: Number of pods, or percent of the pods at the beginning of the period.
        period_s: Period in seconds.
    """

    kind: Literal["Pods", "Percent"]
    value: int
    period_s: float = 15.0


@dataclass(frozen=True)
class Behavior:
    """Bounds of the number of pods, and of its changes. The defaults are those of Kubernetes.

    Attributes:
        min_pods: Smallest number of pods.
        max_pods: Largest number of pods.
        down_window_s: Stabilization window for fewer pods, in seconds.
        up_window_s: Stabilization window for more pods, in seconds.
        down: Policies for fewer pods.
        up: Policies for more pods.
    """

    min_pods: int = 1
    max_pods: int = 256
    down_window_s: float = 300.0
    up_window_s: float = 0.0
    down: tuple[Policy, ...] = (Policy("Percent", 100),)
    up: tuple[Policy, ...] = (Policy("Percent", 100), Policy("Pods", 4))


def propose_by_mean(
    pods: int, values: Sequence[float], target: float, *, missing: int = 0, unready: int = 0
) -> int:
    """Propose a number of pods by a metric's mean, as for metrics of type Pods and Resource.

    Args:
        pods: Present number of pods.
        values: Values of the pods that have one.
        target: Mean that is wanted.
        missing: Number of pods without a value.
        unready: Number of pods that are not ready for the metric.
    """
    if not values:
        return pods
    first = sum(values) / len(values) / target
    if first > 1:
        total, counted = sum(values), len(values) + missing + unready
    else:
        total, counted = sum(values) + missing * target, len(values) + missing
    ratio = total / counted / target
    if abs(ratio - 1) <= TOLERANCE + _SLACK or (first > 1) != (ratio > 1):
        return pods
    proposal = math.ceil(ratio * counted - _SLACK)
    return max(proposal, pods) if ratio > 1 else min(proposal, pods)


def propose_by_total(pods: int, total: float, target: float) -> int:
    """Propose a number of pods by a sum over all pods, as for KEDA's metrics of type External.

    Args:
        pods: Present number of pods.
        total: Sum over all pods.
        target: Value per pod that is wanted.
    """
    if abs(total / target / pods - 1) <= TOLERANCE + _SLACK:
        return pods
    return math.ceil(total / target - _SLACK)


class Autoscaler:
    """Decisions on the number of pods, with the memory that the windows and policies need.

    Args:
        behavior: Bounds of the number and of its changes.
    """

    def __init__(self, behavior: Behavior) -> None:
        self._behavior = behavior
        self._proposals: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def decide(self, now_s: float, pods: int, proposals: Sequence[int]) -> int:
        """Decide on the number of pods.

        Args:
            now_s: Current time in seconds.
            pods: Present number of pods.
            proposals: Proposal of each metric, at least one.
        """
        rules = self._behavior
        if not self._proposals:
            self._proposals.append((now_s, pods))
        proposal = max(proposals)
        wanted = max(pods, min([proposal, *self._list_proposals(now_s - rules.up_window_s)]))
        wanted = min(wanted, max([proposal, *self._list_proposals(now_s - rules.down_window_s)]))
        self._proposals.append((now_s, proposal))
        if wanted > pods:
            wanted = min(wanted, max(self._limit(now_s, pods, rule, 1) for rule in rules.up))
        elif wanted < pods:
            wanted = max(wanted, min(self._limit(now_s, pods, rule, -1) for rule in rules.down))
        wanted = min(max(wanted, rules.min_pods), rules.max_pods)
        if wanted != pods:
            self._changes.append((now_s, wanted - pods))
        return wanted

    def _list_proposals(self, from_s: float) -> list[int]:
        return [number for time_s, number in self._proposals if time_s > from_s]

    def _limit(self, now_s: float, pods: int, policy: Policy, sign: Literal[1, -1]) -> int:
        """Return the number of pods that a policy allows, given the changes in its period."""
        first = pods - sum(
            change
            for time_s, change in self._changes
            if time_s > now_s - policy.period_s and change * sign > 0
        )
        if policy.kind == "Pods":
            return first + sign * policy.value
        share = first * (1 + sign * policy.value / 100)
        return math.ceil(share - _SLACK) if sign > 0 else math.floor(share + _SLACK)
