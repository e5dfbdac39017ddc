"""Rules of the autoscaler: the numbers of pods that their metrics propose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.simulation.autoscaler import propose_by_mean, propose_by_total
from benchmarks.simulation.pods import Pod
from benchmarks.simulation.readings import Readings
from benchmarks.simulation.scenario import Scenario

Rule = Callable[[Scenario, Sequence[Pod], Readings, float], list[int]]
"""Function from a scenario, the pods, their readings and the time to the proposals."""


def propose_by_waits(
    scenario: Scenario, pods: Sequence[Pod], readings: Readings, now_s: float
) -> list[int]:
    """Propose by the mean of the waits in the queues, as for a metric of type Pods."""
    values = readings.list_waits(pods, now_s)
    return [_propose(pods, values, scenario.wait_target_s, now_s)]


def propose_by_loads(
    scenario: Scenario, pods: Sequence[Pod], readings: Readings, now_s: float
) -> list[int]:
    """Propose by the mean of the workers' loads, as for a metric of type Pods."""
    return [_propose(pods, readings.list_loads(pods, now_s), scenario.load_target, now_s)]


def propose_by_cpus(
    scenario: Scenario, pods: Sequence[Pod], readings: Readings, now_s: float
) -> list[int]:
    """Propose by the use of the CPUs, as for a metric of type Resource."""
    values = readings.list_cpus(pods, now_s)
    unready = len(pods) - len(values)
    return [propose_by_mean(len(pods), values, scenario.load_target, unready=unready)]


def propose_by_sums(
    scenario: Scenario, pods: Sequence[Pod], readings: Readings, now_s: float
) -> list[int]:
    """Propose by the sums of the waits and of the loads, as KEDA does.

    While there is a pod, KEDA asks Prometheus whenever the autoscaler asks it. Its own polling
    interval only wakes a deployment without pods.
    """
    wait_s, load = (
        sum(values)
        for values in (readings.list_waits(pods, now_s), readings.list_loads(pods, now_s))
    )
    return [
        propose_by_total(len(pods), wait_s, scenario.wait_target_s),
        propose_by_total(len(pods), load, scenario.load_target),
    ]


def _propose(pods: Sequence[Pod], values: Sequence[float], target: float, now_s: float) -> int:
    running = sum(pod.running_s <= now_s for pod in pods)
    missing, unready = running - len(values), len(pods) - running
    return propose_by_mean(len(pods), values, target, missing=missing, unready=unready)


RULES: Mapping[str, Rule] = {
    "fixed": lambda *_: [],
    "cpu": propose_by_cpus,
    "queue": propose_by_waits,
    "both": lambda *given: propose_by_waits(*given) + propose_by_loads(*given),
    "keda": propose_by_sums,
}
"""Rules by name: none; the use of CPUs; the queue; the queue and the load of the workers; and both
as KEDA has them."""
