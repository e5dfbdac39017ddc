"""Prediction of images of any size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.data.crops import collate
from model.data.labelled import LabelledSample
from model.network import NetworkConfig

MAX_WINDOW_PIXELS = 2**20
"""Larger images are predicted in windows, with a halo that makes the result the same."""


class Predictor:
    """Runner of a network on single images of any size.

    Args:
        network: from `build_network(config)`; its weights may change between calls.
        config: its configuration.
        max_pixels: largest size of a window, without its halo.

    Attributes:
        classes: number of classes.
        halo: pixels around a window that its outputs may depend on, a multiple of the total stride.
    """

    def __init__(
        self, network: keras.Model, config: NetworkConfig, max_pixels: int = MAX_WINDOW_PIXELS
    ) -> None:
        def compute(image: Any, mask: Any) -> Any:
            return network([image, mask], training=False)

        self._compute = tf.function(
            compute,
            input_signature=[
                tf.TensorSpec((None, None, None, config.channels), tf.float32),
                tf.TensorSpec((None, None, None, 1), tf.bool),
            ],
            autograph=False,
        )
        self.classes = config.classes
        self._stride = config.total_stride
        self.halo = -(-config.receptive_radius // self._stride) * self._stride
        self._side = max(int(max_pixels**0.5) // self._stride, 1) * self._stride

    def predict(self, sample: LabelledSample) -> NDArray[np.float32]:
        """Return the logits of an image, float32 (H, W, K)."""
        height, width = sample.mask.shape
        if max(height, width) <= self._side:
            return self._run(sample)
        logits = np.empty((height, width, self.classes), np.float32)
        for top in range(0, height, self._side):
            for left in range(0, width, self._side):
                here = np.s_[top : top + self._side, left : left + self._side]
                logits[here] = self._predict_window(sample, top, left)
        return logits

    def _predict_window(self, sample: LabelledSample, top: int, left: int) -> NDArray[np.float32]:
        first = [max(start - self.halo, 0) for start in (top, left)]
        last = [start + self._side + self.halo for start in (top, left)]
        window = sample.move(lambda part: part[first[0] : last[0], first[1] : last[1]])
        rows, columns = (
            slice(start - begin, start - begin + self._side)
            for start, begin in zip((top, left), first, strict=True)
        )
        return self._run(window)[rows, columns]

    def _run(self, sample: LabelledSample) -> NDArray[np.float32]:
        height, width = sample.mask.shape
        batch = collate([sample], self._stride)
        logits = self._compute(tf.constant(batch.image), tf.constant(batch.mask))
        return np.asarray(logits)[0, :height, :width]
