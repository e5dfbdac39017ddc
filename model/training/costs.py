"""Cost and view of a network, for people who choose one."""

from __future__ import annotations

import re
from typing import NamedTuple

import keras
import numpy as np

from model.network import Architecture, NetworkConfig, build_network


class NetworkCost(NamedTuple):
    """Cost of a network.

    Attributes:
        operations: floating-point operations of its convolutions, for each pixel of the image.
        weights: number of weights that are trained.
        radius: its receptive radius in pixels.
    """

    operations: float
    weights: int
    radius: int

    def __str__(self) -> str:
        return (
            f"{self.operations / 1000:.0f} kFLOP a pixel, {self.weights:,} weights, sees "
            f"{self.radius} pixels around each"
        )


def measure_cost(config: NetworkConfig, architecture: Architecture | None = None) -> NetworkCost:
    """Count the operations and weights of a network, from its layers.

    Args:
        config: of the network.
        architecture: as in `build_network`.
    """
    network = build_network(config, architecture)
    operations = 0.0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            level = re.match(r"(?:down|up)(\d+)_", layer.name)
            cells = 4.0 ** -int(level[1]) if level else 1.0  # the last one is at full resolution
            operations += 2 * cells * float(np.prod(layer.kernel.shape))
    weights = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    return NetworkCost(operations, weights, config.receptive_radius)
