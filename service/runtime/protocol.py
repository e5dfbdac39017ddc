"""Protocol between the service and a model, whatever runs it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.runtime.manifest import Manifest


class BatchOutput(NamedTuple):
    """Output of a model for a batch.

    Attributes:
        labels: uint8 (N, H, W), class ids; 255 where invalid.
        probabilities: float32 (N, H, W, K), 0 where invalid; None if not requested.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None


class Runtime(Protocol):
    """Loaded model. It may be called from any thread, by several at a time."""

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        ...

    def run(
        self, images: NDArray[np.float32], masks: NDArray[np.bool_], *, probabilities: bool
    ) -> BatchOutput:
        """Segment a batch.

        Args:
            images: float32 (N, H, W, C), raw values.
            masks: bool (N, H, W), True = valid.
            probabilities: True to compute probabilities as well; labels alone are cheaper.

        Raises:
            InferenceError: if the model fails, or its output does not have the shapes of its
                signature.
            OutOfMemoryError: if the memory for this batch is not there now.
        """
        ...
