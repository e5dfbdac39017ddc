"""Deployment of a simulation: pods behind a balancer, with their metrics and their autoscaler."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.simulation.autoscaler import SYNC_S, Autoscaler
from benchmarks.simulation.balancing import BALANCERS
from benchmarks.simulation.events import Events
from benchmarks.simulation.pods import Call, Pod
from benchmarks.simulation.readings import Readings
from benchmarks.simulation.rules import RULES
from benchmarks.simulation.scenario import Outcome, Sample, Scenario
from benchmarks.simulation.traffic import Request


class Deployment:
    """Pods behind a balancer, with their autoscaler. Runs once.

    Args:
        scenario: Everything that the run depends on.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rng = np.random.default_rng(scenario.seed)
        self._events = Events()
        self._choose = BALANCERS[scenario.balance](self._rng)
        self._propose = RULES[scenario.rule]
        self._autoscaler = Autoscaler(scenario.behavior)
        self._readings = Readings(scenario)
        self._pods: list[Pod] = []
        self._ready: list[Pod] = []
        self._closing: list[Pod] = []
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Run to the end of the traffic."""
        outcome, traffic = self._outcome, self._scenario.traffic
        for _ in range(self._scenario.pods):
            self._create(0.0, 0.0)
        self._events.add(self._rng.random() * SYNC_S, self._sync)
        for request in traffic.draw(self._rng):
            self._events.run_until(request.arrived_s)
            self._route(request)
        self._events.run_until(traffic.seconds)
        left = [*self._pods, *self._closing]
        outcome.pod_s += sum(traffic.seconds - pod.created_s for pod in left)
        outcome.pending = sum(pod.pending for pod in left)
        self._note_pods()
        return outcome

    def _route(self, request: Request) -> None:
        self._outcome.arrived += 1
        pod = self._choose(self._ready, request.client)
        refusal = pod.offer(request)
        if refusal is not None:
            self._outcome.refused[refusal.reason] += 1
        else:
            self._begin_calls(pod)

    def _begin_calls(self, pod: Pod) -> None:
        for call in pod.begin_calls(self._events.now_s):
            self._events.add(call.ends_s, partial(self._end_call, pod, call))

    def _end_call(self, pod: Pod, call: Call) -> None:
        self._outcome.answers += pod.end_call(call)
        self._begin_calls(pod)
        if pod in self._closing and not pod.pending:
            self._closing.remove(pod)
            self._end(pod)

    def _sync(self) -> None:
        """Decide on the number of pods, and again after the controller's period."""
        now_s = self._events.now_s
        self._note_pods()
        proposals = self._propose(self._scenario, self._pods, self._readings, now_s)
        if proposals:
            self._scale(self._autoscaler.decide(now_s, len(self._pods), proposals))
        self._events.add(now_s + SYNC_S, self._sync)

    def _scale(self, wanted: int) -> None:
        for _ in range(wanted - len(self._pods)):
            self._create(self._scenario.pull_s, self._scenario.load_s)
        # The youngest end first, and so do those that are not ready, as a ReplicaSet has it.
        for _ in range(len(self._pods) - wanted):
            self._close(self._pods.pop())

    def _create(self, pull_s: float, load_s: float) -> None:
        now_s = self._events.now_s
        pod = Pod(self._scenario.pod, now_s, now_s + pull_s, now_s + pull_s + load_s)
        self._pods.append(pod)
        self._events.add(pod.ready_s, partial(self._open, pod))
        first_s = pod.running_s + self._rng.random() * self._scenario.scrape_s
        self._events.add(first_s, partial(self._scrape, pod))

    def _open(self, pod: Pod) -> None:
        if not pod.is_closing:
            self._ready.append(pod)

    def _scrape(self, pod: Pod) -> None:
        if not pod.is_closing:
            self._readings.read(pod, self._events.now_s)
            next_s = self._events.now_s + self._scenario.scrape_s
            self._events.add(next_s, partial(self._scrape, pod))

    def _close(self, pod: Pod) -> None:
        """Let a pod end after its last answer."""
        pod.is_closing = True
        self._readings.forget(pod)
        if pod in self._ready:
            self._ready.remove(pod)
        if pod.pending:
            self._closing.append(pod)
        else:
            self._end(pod)

    def _end(self, pod: Pod) -> None:
        self._outcome.pod_s += self._events.now_s - pod.created_s

    def _note_pods(self) -> None:
        sample = Sample(self._events.now_s, len(self._ready), len(self._pods))
        self._outcome.samples.append(sample)
