"""Fake runtime without TensorFlow: deterministic, exact, and masked like a real model.

It replaces a SavedModel in tests and in measurements of the service alone.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lacuna.errors import PrecisionError
from lacuna.windows.window import Window
from service.core.model_formats import SAVED_MODEL, ModelFormat
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput

FAKE_MANIFEST = Manifest.model_validate(
    {
        "schema": 1,
        "name": "fake",
        "description": "Brightness of a pixel's valid neighbourhood, in three steps.",
        "image": {"channels": 1, "dtype": "uint8"},
        "classes": [
            {"id": 0, "name": "dark", "color": "#202020"},
            {"id": 1, "name": "medium", "color": "#808080"},
            {"id": 2, "name": "bright", "color": "#e0e0e0"},
        ],
        "total_stride": 4,
        "receptive_radius": 2,
    }
)


class FakeRuntime:
    """Runtime that labels each valid pixel by the mean of the valid pixels in a 5 × 5 window.

    Sums are of whole numbers in float64, so results are exact in any order of addition.

    Args:
        manifest: Manifest of the pretended model; its classes divide the range 0 to 255 evenly.
        can_keep: True if it can keep a window.
        can_skip: True if it can compute strips; its answers are the same.
    """

    def __init__(
        self, manifest: Manifest = FAKE_MANIFEST, can_keep: bool = False, can_skip: bool = False
    ) -> None:
        self._manifest = manifest
        self._can_keep, self._can_skip = can_keep, can_skip

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        return self._manifest

    @property
    def model_format(self) -> ModelFormat:
        """Format of the model's files."""
        return SAVED_MODEL

    @property
    def can_keep(self) -> bool:
        """True if it can keep a window."""
        return self._can_keep

    @property
    def can_skip(self) -> bool:
        """True if it can compute strips."""
        return self._can_skip

    def in_bfloat16(self) -> FakeRuntime:
        """Refuse: its sums are exact in float64 alone."""
        raise PrecisionError("a model must be a SavedModel to run in bfloat16; it is a fake")

    def run(
        self,
        images: NDArray[np.float32],
        masks: NDArray[np.bool_],
        *,
        probabilities: bool,
        keep: Window | None = None,
        on_strips: bool = False,
    ) -> BatchOutput:
        """Segment a batch; see `Runtime.run`."""
        del on_strips
        valid = np.where(masks[..., None], images, 0).astype(np.float64).mean(axis=-1)
        count = _sum_neighbours(masks.astype(np.float64))
        mean = _sum_neighbours(valid) / np.maximum(count, 1)
        classes = len(self._manifest.classes)
        best = np.clip(mean * classes / 256, 0, classes - 1).astype(np.uint8)
        labels = np.where(masks, best, np.uint8(255))
        if keep is not None:
            labels = labels[:, *keep.slices]
        if not probabilities:
            return BatchOutput(labels, None)
        return BatchOutput(labels, (labels[..., None] == np.arange(classes)).astype(np.float32))


def _sum_neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(values, [(0, 0), (2, 2), (2, 2)])
    return np.asarray(sliding_window_view(padded, (5, 5), axis=(1, 2)).sum(axis=(-1, -2)))
