"""Experiments of docs/scaling.md, whose results are docs/pictures/scaling.json."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.simulation.autoscaler import Behavior, Policy
from benchmarks.simulation.deployment import Deployment
from benchmarks.simulation.scenario import RECOMMENDED, Scenario
from benchmarks.simulation.traffic import Traffic, draw_shapes
from benchmarks.simulation.work import PodPolicy, measure_work

_SEEDS = (0, 1)
_DIGITS = 4

DEFAULT_BEHAVIOR = Behavior(RECOMMENDED.min_pods, RECOMMENDED.max_pods)
"""Kubernetes' own policies: at most twice the pods, or four more, every 15 s."""

RULES: Mapping[str, Mapping[str, Any]] = {
    "fixed, 4 pods": {"rule": "fixed"},
    "fixed, 14 pods": {"rule": "fixed", "pods": 14},
    "CPU": {"rule": "cpu", "behavior": DEFAULT_BEHAVIOR},
    "queue": {"rule": "queue", "behavior": DEFAULT_BEHAVIOR},
    "queue and load": {"behavior": DEFAULT_BEHAVIOR},
    "recommended": {},
    "recommended, by KEDA": {"rule": "keda"},
    "queue averaged over 1 min": {"wait_average_s": 60.0},
    "one pod fewer a minute": {"behavior": replace(RECOMMENDED, down=(Policy("Pods", 1, 60.0),))},
    "pods start in 2 min": {"pull_s": 40.0, "load_s": 80.0},
    "kept connections": {"balance": "connection"},
}
"""Changes of the recommended scenario, by the name of their row."""

TARGETS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
PODS = (1, 4, 16, 64, 256)
BALANCERS = ("random", "turn", "two", "least")

_STEADY_LOAD = 0.7
_STEADY_SECONDS = {1: 600.0, 4: 300.0, 16: 120.0, 64: 60.0, 256: 30.0}


@cache
def measure_capacity(mix: str, pod: PodPolicy) -> float:
    """Return the requests a second that one pod can answer."""
    shapes = draw_shapes(mix, 4000, np.random.default_rng(0))
    return pod.workers / statistics.fmean(measure_work(pod, shape) for shape in shapes)


def make_traffic(pods: float, seconds: float, *, load: str, mix: str, clients: int = 64) -> Traffic:
    """Make the traffic that so many pods could just answer, before the factor of the load."""
    return Traffic(pods * measure_capacity(mix, PodPolicy()), seconds, load, mix, clients)


def make_burst(seed: int = 0, **changes: Any) -> Deployment:
    """Make the deployment of the burst: two pods' work, and five times as much for 3 of 25 min."""
    traffic = make_traffic(2, 1500.0, load="bursts", mix="mixed")
    return Deployment(replace(Scenario(traffic, seed=seed), **changes))


def run_steady(pods: int, balance: str) -> dict[str, float]:
    """Run pods at 70 % of what they can answer."""
    traffic = make_traffic(
        _STEADY_LOAD * pods,
        _STEADY_SECONDS[pods],
        load="steady",
        mix="mixed",
        clients=max(8 * pods, 64),
    )
    outcome = Deployment(Scenario(traffic, pods=pods, rule="fixed", balance=balance)).run()
    return _round(outcome.summarize())


def run_all(show: Callable[[str], None]) -> dict[str, Any]:
    """Run all experiments, which takes three minutes of one core.

    Args:
        show: Callback with the name of each experiment before it begins.
    """
    parts = ("burst", "wave", "targets", "steady", "pods")
    results: dict[str, Any] = {part: {} for part in parts}
    for name, changes in RULES.items():
        show(f"burst, {name}")
        results["burst"][name] = _average([make_burst(seed, **changes) for seed in _SEEDS])
    for name in ("CPU", "queue", "recommended"):
        show(f"wave, {name}")
        traffic = make_traffic(2, 3600.0, load="wave", mix="mixed")
        wave = Deployment(replace(Scenario(traffic), **RULES[name]))
        results["wave"][name] = _average([wave])
    for name, behavior in (("default", DEFAULT_BEHAVIOR), ("recommended", RECOMMENDED)):
        show(f"targets, {name}")
        results["targets"][name] = [
            _average([make_burst(seed, wait_target_s=target, behavior=behavior) for seed in _SEEDS])
            for target in TARGETS_S
        ]
    for balance in BALANCERS:
        show(f"steady, {balance}")
        results["steady"][balance] = [run_steady(pods, balance) for pods in PODS]
    for name in ("CPU", "queue", "queue and load", "recommended"):
        show(f"pods, {name}")
        samples = make_burst(**RULES[name]).run().samples
        results["pods"][name] = [(round(one.time_s, 1), one.pods) for one in samples]
    return results


def _average(deployments: Sequence[Deployment]) -> dict[str, float]:
    runs = [deployment.run().summarize() for deployment in deployments]
    return _round({key: statistics.fmean(run[key] for run in runs) for key in runs[0]})


def _round(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, _DIGITS) for name, number in numbers.items()}
