"""Balancing: which pod gets a request."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.simulation.pods import Pod

Choose = Callable[[Sequence[Pod], str], Pod]
"""Function from the ready pods, at least one, and the name of the client, to a pod."""


def balance_randomly(rng: np.random.Generator) -> Choose:
    """Choose at random, as kube-proxy does by default if each request has its own connection."""
    return lambda pods, _: _draw(pods, rng)


def balance_in_turn(_: np.random.Generator) -> Choose:
    """Choose in turn, as nginx does by default."""
    turns = itertools.count()
    return lambda pods, _: pods[next(turns) % len(pods)]


def balance_by_two(rng: np.random.Generator) -> Choose:
    """Choose the one with fewer pending requests of two at random, as Envoy's LEAST_REQUEST."""

    def choose(pods: Sequence[Pod], _: str) -> Pod:
        first, second = _draw(pods, rng), _draw(pods, rng)
        return first if first.pending <= second.pending else second

    return choose


def balance_by_least(_: np.random.Generator) -> Choose:
    """Choose the one with the fewest pending requests, as nginx's `least_conn` or HAProxy's."""
    return lambda pods, _: min(pods, key=lambda pod: pod.pending)


def balance_by_connection(rng: np.random.Generator) -> Choose:
    """Keep the pod that a client was given at first, as kube-proxy does for a kept connection."""
    kept: dict[str, Pod] = {}

    def choose(pods: Sequence[Pod], client: str) -> Pod:
        pod = kept.get(client)
        if pod is None or pod.is_closing:
            pod = kept[client] = _draw(pods, rng)
        return pod

    return choose


def _draw(pods: Sequence[Pod], rng: np.random.Generator) -> Pod:
    return pods[int(rng.integers(len(pods)))]


BALANCERS: Mapping[str, Callable[[np.random.Generator], Choose]] = {
    "random": balance_randomly,
    "turn": balance_in_turn,
    "two": balance_by_two,
    "least": balance_by_least,
    "connection": balance_by_connection,
}
"""Balancers by name."""
