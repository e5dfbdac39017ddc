"""Readings of the pods' metrics, as Prometheus has them."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.simulation.pods import Pod
from benchmarks.simulation.scenario import Scenario

_CPU_WINDOW_S = 30.0
"""Seconds that the use of CPUs is averaged over: about two readings of the metrics server."""


class Reading(NamedTuple):
    """Metrics of a pod at a time, each as a mean over its workers.

    Attributes:
        time_s: Time in seconds.
        wait_s: Predicted seconds in the queue.
        busy_s: Seconds that the workers have been busy so far.
    """

    time_s: float
    wait_s: float
    busy_s: float


class Readings:
    """Last readings of each pod.

    Args:
        scenario: Scenario, which says how long they are kept.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        longest_s = max(scenario.wait_average_s, scenario.load_average_s, _CPU_WINDOW_S)
        self._kept = int(longest_s / scenario.scrape_s) + 2
        self._readings: dict[Pod, deque[Reading]] = {}

    def read(self, pod: Pod, now_s: float) -> None:
        """Read the metrics of a pod."""
        workers = self._scenario.pod.workers
        wait_s, busy_s = pod.measure_queue() / workers, pod.measure_busy(now_s) / workers
        readings = self._readings.setdefault(pod, deque(maxlen=self._kept))
        readings.append(Reading(now_s, wait_s, busy_s))

    def forget(self, pod: Pod) -> None:
        """Forget the readings of a pod that has ended."""
        self._readings.pop(pod, None)

    def list_waits(self, pods: Iterable[Pod], now_s: float) -> list[float]:
        """List the waits of the pods that have been read, in seconds."""
        from_s = now_s - self._scenario.wait_average_s
        return [
            statistics.fmean(one.wait_s for one in _select(readings, from_s) or [readings[-1]])
            for pod in pods
            if (readings := self._readings.get(pod))
        ]

    def list_loads(self, pods: Iterable[Pod], now_s: float) -> list[float]:
        """List the loads of the pods that have been read twice: 0 idle, 1 always busy."""
        from_s = now_s - self._scenario.load_average_s
        return [load for pod in pods if (load := self._measure(pod, from_s)) is not None]

    def list_cpus(self, pods: Iterable[Pod], now_s: float) -> list[float]:
        """List the use of the CPUs of the pods that have been read twice since they were ready.

        What was read before does not count, because starting takes all CPUs of a pod.
        """
        from_s = now_s - _CPU_WINDOW_S
        loads = (self._measure(pod, max(from_s, pod.ready_s)) for pod in pods)
        return [load for load in loads if load is not None]

    def _measure(self, pod: Pod, from_s: float) -> float | None:
        recent = _select(self._readings.get(pod, ()), from_s)
        if len(recent) < 2:
            return None
        return (recent[-1].busy_s - recent[0].busy_s) / (recent[-1].time_s - recent[0].time_s)


def _select(readings: Iterable[Reading], from_s: float) -> Sequence[Reading]:
    return [reading for reading in readings if reading.time_s >= from_s]
