"""Cost of masking: ratios of the exported network's time to those of plain networks.

    python benchmarks/speed.py [ROUNDS]

In one process, alternating, with everything valid: the shipped model, the plain network of the same
configuration, and one whose widths are multiples of 16, which is what vector units like best. Each
is exported alike and gives labels. Printed are the medians, over ROUNDS rounds (31 by default), of
the ratio within a round.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.baselines import BaselineNetwork
from model.export import FrozenSegmenter
from model.network import NetworkConfig, build_network

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"
SIDES = (64, 256, 512)


def export_plain(config: NetworkConfig) -> Any:
    """Export a plain network with weights, and biases, at random."""
    network = build_network(config, BaselineNetwork(config, folded=True))
    for weight in network.weights:
        # Zeros would be folded away.
        weight.assign(weight + 0.01 * keras.random.normal(weight.shape))
    return FrozenSegmenter(network, config).signatures["labels"].get_concrete_function()


def time_call(function: Any, image: Any, mask: Any) -> float:
    """Return the seconds of one call, its result included."""
    began = time.perf_counter()
    function(image=image, mask=mask)["labels"].numpy()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    config = NetworkConfig()
    aligned = dataclasses.replace(config, widths=tuple(width + 1 for width in config.widths))
    contestants = {
        "masked": tf.saved_model.load(str(DEMO)).signatures["labels"],
        "plain": export_plain(config),
        "plain, aligned widths": export_plain(aligned),
    }
    for side in SIDES:
        image = tf.constant(np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)), "float32")
        mask = tf.ones((1, side, side, 1), tf.bool)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(3 + rounds):
            for name, function in contestants.items():
                times[name].append(time_call(function, image, mask))
        masked = times.pop("masked")[3:]
        print(f"{side}²: masked {statistics.median(masked) * 1000:.1f} ms", end="")
        for name, plain in times.items():
            ratio = statistics.median(a / b for a, b in zip(masked, plain[3:], strict=True))
            print(f"; {ratio:.3f} × {name}", end="")
        print()


if __name__ == "__main__":
    main()
