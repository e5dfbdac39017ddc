"""What the service asks of a model, whatever runs it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.runtime.manifest import Manifest


class BatchOutput(NamedTuple):
    """What a model gives for a batch.

    Attributes:
        labels: uint8 (N, H, W), class ids; 255 where invalid.
        probabilities: float32 (N, H, W, K), 0 where invalid; None if not asked for.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None


class Runtime(Protocol):
    """A loaded model. Calls may come from any thread, several at a time."""

    @property
    def manifest(self) -> Manifest:
        """What the model says of itself."""
        ...

    def run(
        self, images: NDArray[np.float32], masks: NDArray[np.bool_], *, probabilities: bool
    ) -> BatchOutput:
        """Segment a batch.

        Args:
            images: float32 (N, H, W, C), raw values.
            masks: bool (N, H, W), True = valid.
            probabilities: whether they are wanted; labels alone are cheaper.

        Raises:
            InferenceError: if the model fails, or returns other shapes than its signature says.
        """
        ...
