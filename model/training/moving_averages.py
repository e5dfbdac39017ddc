"""Correction of batch normalisation's moving averages for their initial values."""

from __future__ import annotations

import keras
import numpy as np

from model.layers import MaskedBatchNormalization


def correct_moving_averages(network: keras.Model, steps: int) -> None:
    """Remove the remaining weight of the initial values, 0 and 1, from the moving averages.

    After t steps of momentum m that weight is m**t, as in Adam's bias correction: 37 % after 100
    steps of 0.99, enough to spoil a network that is fine in training, and nothing after 2000.

    Args:
        network: its averages are changed.
        steps: number of training steps, at least 1.
    """
    for layer in network.layers:
        if isinstance(layer, MaskedBatchNormalization | keras.layers.BatchNormalization):
            rest = layer.momentum**steps
            mean, variance = (
                np.asarray(average.numpy(), np.float64)
                for average in (layer.moving_mean, layer.moving_variance)
            )
            layer.moving_mean.assign(mean / (1 - rest))
            layer.moving_variance.assign(np.maximum(variance - rest, 0) / (1 - rest))
