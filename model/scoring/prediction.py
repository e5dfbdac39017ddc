"""Prediction of images of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.data.crops import CropBatch, collate
from model.data.labelled import LabelledSample

MAX_WINDOW_PIXELS = 2**20
"""Larger images are predicted in windows, with a halo that makes the result the same."""


class NetworkFacts(Protocol):
    """Facts about a network that prediction needs; see `NetworkConfig`."""

    @property
    def channels(self) -> int:
        """Channels of the image."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def total_stride(self) -> int:
        """Side of a cell of the coarsest map, in pixels."""

    @property
    def receptive_radius(self) -> int:
        """Distance in pixels beyond which no input reaches an output."""


Run = Callable[[CropBatch], NDArray[np.float32]]
"""Function from one image on a canvas to its logits, float32 (H, W, K)."""


class WindowedPredictor:
    """Runner of a segmenter on single images of any size.

    Args:
        run: of one image.
        classes: number of classes.
        stride: total stride.
        radius: receptive radius in pixels.
        max_pixels: largest size of a window, without its halo.

    Attributes:
        classes: number of classes.
        halo: pixels around a window that its outputs may depend on, a multiple of the total stride.
    """

    def __init__(
        self,
        run: Run,
        classes: int,
        stride: int,
        radius: int,
        max_pixels: int = MAX_WINDOW_PIXELS,
    ) -> None:
        self._compute, self.classes, self._stride = run, classes, stride
        self.halo = -(-radius // stride) * stride
        self._side = max(int(max_pixels**0.5) // stride, 1) * stride

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
        return self._compute(collate([sample], self._stride))[:height, :width]


class Predictor(WindowedPredictor):
    """Runner of a network on single images of any size.

    Args:
        network: from `[image, mask]` to logits; its weights may change between calls.
        config: its configuration.
        max_pixels: largest size of a window, without its halo.
    """

    def __init__(
        self, network: keras.Model, config: NetworkFacts, max_pixels: int = MAX_WINDOW_PIXELS
    ) -> None:
        def compute(image: Any, mask: Any) -> Any:
            return network([image, mask], training=False)

        traced = tf.function(
            compute,
            input_signature=[
                tf.TensorSpec((None, None, None, config.channels), tf.float32),
                tf.TensorSpec((None, None, None, 1), tf.bool),
            ],
            autograph=False,
        )

        def run(batch: CropBatch) -> NDArray[np.float32]:
            return np.asarray(traced(tf.constant(batch.image), tf.constant(batch.mask)))[0]

        super().__init__(
            run, config.classes, config.total_stride, config.receptive_radius, max_pixels
        )
