"""Requests of a simulation: when they arrive, and how large their images are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.bench.workload import parse_sizes

_SIZES = 256
"""Different sizes that are drawn from a range, as in workload B of `make bench`."""


class Shape(NamedTuple):
    """Shape of an image, all of it valid.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        halo: Pixels at each side that are only seen, as around the window of a scene.
    """

    height: int
    width: int
    halo: int = 0


class Request(NamedTuple):
    """Request of a client.

    Attributes:
        arrived_s: Time of arrival, in seconds.
        shape: Shape of its image.
        client: Name of the client.
    """

    arrived_s: float
    shape: Shape
    client: str


SCENE_WINDOW = Shape(1136, 1136, 56)
"""Window of 1024 × 1024 pixels with its halo, as `lacuna segment --url` sends them."""

MIXES: Mapping[str, Mapping[str, float]] = {
    "A": {"64": 1.0},
    "B": {"48-384": 1.0},
    "C": {"1024": 1.0},
    "512": {"512": 1.0},
    "scenes": {"scene": 1.0},
    "mixed": {"64": 0.6, "48-384": 0.25, "1024": 0.1, "scene": 0.05},
}
"""Share of each size among the requests, by the name of the mix; letters as in `make bench`."""

BURST_EVERY_S, BURST_S, BURST_FACTOR = 1500.0, 180.0, 5.0
_FIRST_BURST_S = 400.0
_WAVE = 0.8

LOADS: Mapping[str, Callable[[float, float], float]] = {
    "steady": lambda *_: 1.0,
    "wave": lambda time_s, seconds: 1 - _WAVE * math.cos(2 * math.pi * time_s / seconds),
    "bursts": lambda time_s, _: (
        BURST_FACTOR if (time_s - _FIRST_BURST_S) % BURST_EVERY_S < BURST_S else 1.0
    ),
}
"""Factor of the rate at a time, given the seconds of the run: constant; one slow wave from 0.2 to
1.8, as a day has it; and bursts of five times the rate that begin within a second."""


@dataclass(frozen=True)
class Traffic:
    """Requests, which arrive as a Poisson process.

    Attributes:
        rate: Requests a second, before the factor.
        seconds: Length of the run.
        load: Name in `LOADS`.
        mix: Name in `MIXES`.
        clients: Number of clients, each as busy as the others.
    """

    rate: float
    seconds: float
    load: str = "steady"
    mix: str = "mixed"
    clients: int = 64

    def draw(self, rng: np.random.Generator) -> list[Request]:
        """Draw the requests, in the order of their arrival."""
        factor = LOADS[self.load]
        seconds = np.arange(math.ceil(self.seconds))
        means = [self.rate * factor(float(second), self.seconds) for second in seconds]
        counts = rng.poisson(means)
        times = np.sort(np.repeat(seconds, counts) + rng.random(int(counts.sum())))
        times = times[times < self.seconds]
        shapes = draw_shapes(self.mix, len(times), rng)
        clients = rng.integers(self.clients, size=len(times))
        return [
            Request(float(time_s), shape, f"client-{client}")
            for time_s, shape, client in zip(times, shapes, clients, strict=True)
        ]


def draw_shapes(mix: str, count: int, rng: np.random.Generator) -> list[Shape]:
    """Draw the shapes of so many images of a mix."""
    names, shares = zip(*MIXES[mix].items(), strict=True)
    pools = [_list_shapes(name, rng) for name in names]
    chosen = rng.choice(len(pools), size=count, p=shares)
    places = rng.integers(_SIZES, size=count)
    return [pools[pool][place] for pool, place in zip(chosen, places, strict=True)]


def _list_shapes(name: str, rng: np.random.Generator) -> list[Shape]:
    if name == "scene":
        return [SCENE_WINDOW] * _SIZES
    sizes = parse_sizes(name)
    return [Shape(*sizes.draw(rng)) for _ in range(_SIZES)]
