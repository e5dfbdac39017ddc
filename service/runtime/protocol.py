"""Protocol between the service and a model, whatever runs it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InferenceError
from lacuna.windows.window import Window
from service.core.model_formats import ModelFormat
from service.runtime.manifest import Manifest


class BatchOutput(NamedTuple):
    """Output of a model for a batch.

    Attributes:
        labels: uint8 (N, H, W), class ids; 255 where invalid. H and W are those of the window that
            is kept, if there is one.
        probabilities: float32 (N, H, W, K), 0 where invalid; None if not requested.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None


def make_output(
    labels: NDArray[np.uint8],
    probabilities: NDArray[np.float32] | None,
    shape: tuple[int, ...],
    classes: int,
) -> BatchOutput:
    """Make the output of a batch of the arrays that a library returned.

    Args:
        labels: uint8 (N, H, W).
        probabilities: float32 (N, H, W, K); None if not requested.
        shape: N, H and W that they must have.
        classes: K that they must have.

    Raises:
        InferenceError: if they do not have these shapes.
    """
    _check_shape("labels", labels, shape)
    if probabilities is not None:
        _check_shape("probabilities", probabilities, (*shape, classes))
    return BatchOutput(labels, probabilities)


def _check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise InferenceError(
            f"the model must return {name} of {expected}; it returned {array.shape}"
        )


class Runtime(Protocol):
    """Loaded model. It may be called from any thread, by several at a time."""

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        ...

    @property
    def model_format(self) -> ModelFormat:
        """Format of the model's files."""
        ...

    @property
    def can_keep(self) -> bool:
        """True if the model can keep a window, and compute only what the window depends on."""
        ...

    @property
    def can_skip(self) -> bool:
        """True if the model can leave out blocks without a valid pixel: `lacuna.windows.strips`."""
        ...

    def in_bfloat16(self) -> Runtime:
        """Return the same model in bfloat16 arithmetic, with inputs and outputs as they are.

        Raises:
            PrecisionError: if its runtime has no such arithmetic.
        """
        ...

    def run(
        self,
        images: NDArray[np.float32],
        masks: NDArray[np.bool_],
        *,
        probabilities: bool,
        keep: Window | None = None,
        on_strips: bool = False,
    ) -> BatchOutput:
        """Segment a batch.

        Args:
            images: float32 (N, H, W, C), raw values.
            masks: bool (N, H, W), True = valid.
            probabilities: True to compute probabilities as well; labels alone are cheaper.
            keep: Window inside the images, the same for all, whose output is wanted; None for all.
                Only if `can_keep`.
            on_strips: True to compute only strips in which anything is valid. Only if `can_skip`,
                and without `keep`.

        Raises:
            InferenceError: if the model fails, or its output does not have the shapes of its
                signature.
            OutOfMemoryError: if the memory for this batch is not there now.
        """
        ...
