"""The layers of a scene's result: labels, and what may be wanted besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lacuna.geo.layers import (
    Layer,
    confidence_layer,
    labels_layer,
    probabilities_layer,
    support_layer,
)
from lacuna.planes import CONFIDENCE, PROBABILITIES, SUPPORT
from lacuna.sample import Sample, Segmentation
from lacuna.scenes.runner import SceneModel
from lacuna.windows.support import compute_support
from lacuna.windows.window import Tile

LABELS = "labels"

ExtraLayer: TypeAlias = Literal["confidence", "support", "probabilities"]
"""Name of a layer that is written beside the labels."""


def make_layers(names: Sequence[str], model: SceneModel) -> dict[str, Layer]:
    """Return how each layer is written.

    Args:
        names: names of layers, `LABELS` among them.
        model: model whose classes they show.
    """
    known = {
        LABELS: labels_layer(model.classes),
        CONFIDENCE: confidence_layer(),
        SUPPORT: support_layer(),
        PROBABILITIES: probabilities_layer(model.classes),
    }
    return {name: known[name] for name in names}


def make_planes(
    names: Sequence[str], tile: Tile, sample: Sample, segmentation: Segmentation, radius: int
) -> Mapping[str, NDArray[Any]]:
    """Make what is written of a window.

    Args:
        names: names of layers.
        tile: the window.
        sample: what the model saw, of the size of `tile.input`.
        segmentation: of `tile.output`, with probabilities where a layer needs them.
        radius: receptive radius of the model, in pixels.

    Returns:
        Planes (B, H, W) of each layer; NaN where a floating-point one is invalid.
    """
    kept = tile.output.move(-tile.input.top, -tile.input.left).slices
    invalid = ~sample.mask[kept]
    planes: dict[str, NDArray[Any]] = {LABELS: segmentation.labels[None]}
    if SUPPORT in names:
        planes[SUPPORT] = compute_support(sample.mask, radius)[kept][None]
    if segmentation.probabilities is not None:
        planes[PROBABILITIES] = np.moveaxis(segmentation.probabilities, 2, 0)
        planes[CONFIDENCE] = segmentation.probabilities.max(axis=2)[None]
    return {
        name: planes[name]
        if name == LABELS
        else np.where(invalid, np.float32(np.nan), planes[name])
        for name in names
    }
