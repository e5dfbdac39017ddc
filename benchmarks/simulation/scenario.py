"""Scenario of a simulation, and its outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.simulation.autoscaler import Behavior, Policy
from benchmarks.simulation.pods import Answer
from benchmarks.simulation.traffic import Traffic
from benchmarks.simulation.work import PodPolicy

RECOMMENDED = Behavior(min_pods=2, max_pods=64, up=(Policy("Percent", 300, 60.0),))
"""Behavior that docs/scaling.md recommends: at most four times the pods in a minute, and then a
minute in which the new ones start and take their part before more are asked for."""


@dataclass(frozen=True)
class Scenario:
    """Everything that a run depends on.

    Attributes:
        traffic: Requests.
        pods: Number of pods at the beginning, ready.
        rule: Name in `RULES`.
        wait_target_s: Target for the predicted seconds in a pod's queue for each worker.
        load_target: Target for the part of the time that a pod's workers compute.
        wait_average_s: Seconds that the queue is averaged over; 0 for the last reading.
        load_average_s: Seconds that the load is averaged over, at least two readings.
        scrape_s: Seconds between two readings of a pod's metrics. Adapters ask Prometheus when they
            are asked themselves, so they add no delay.
        behavior: Bounds of the number of pods and of its changes.
        balance: Name in `BALANCERS`.
        pod: Size of a pod, and its limits.
        pull_s: Seconds from a pod's creation to the start of its process: scheduling, and the image
            of 1.07 GB at 1 Gbit/s.
        load_s: Seconds from then until it gets requests: 15 s to import TensorFlow and to load,
            check and warm up the demo, and 5 s for the probe of readiness and for the endpoints of
            the service.
        seed: Seed of all random numbers.
    """

    traffic: Traffic
    pods: int = 4
    rule: str = "both"
    wait_target_s: float = 2.0
    load_target: float = 0.75
    wait_average_s: float = 0.0
    load_average_s: float = 120.0
    scrape_s: float = 15.0
    behavior: Behavior = RECOMMENDED
    balance: str = "two"
    pod: PodPolicy = field(default_factory=PodPolicy)
    pull_s: float = 10.0
    load_s: float = 20.0
    seed: int = 0


class Sample(NamedTuple):
    """Number of pods at a time in seconds: those that get requests, and all."""

    time_s: float
    ready: int
    pods: int


@dataclass
class Outcome:
    """Outcome of a run.

    Attributes:
        arrived: Number of requests.
        answers: Answered requests.
        refused: Number of refused requests by reason.
        pending: Number of requests that are pending at the end.
        pod_s: Seconds of all pods, from their creation to their end.
        samples: Numbers of pods over time.
    """

    arrived: int = 0
    answers: list[Answer] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    pod_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)

    def summarize(self) -> dict[str, float]:
        """Summarize the outcome in numbers: times in seconds, refusals as a part of all."""
        latencies_s, waits_s = (
            np.array([answer[place] for answer in self.answers]) for place in (1, 0)
        )
        return {
            "arrived": self.arrived,
            "answered": len(self.answers),
            "pending": self.pending,
            "refused": self.refused.total() / max(self.arrived, 1),
            "p50_s": _find_percentile(latencies_s, 50),
            "p99_s": _find_percentile(latencies_s, 99),
            "wait_p99_s": _find_percentile(waits_s, 99),
            "pod_hours": self.pod_s / 3600,
            "most_pods": max(sample.pods for sample in self.samples),
        }


def _find_percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else 0.0
