"""Segmenters that are scored from outside: exported models, and models of a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.client import Client
from lacuna.client.catalog import choose_model
from model.data.crops import CropBatch
from model.scoring.prediction import WindowedPredictor

MANIFEST_FILE = Path("assets.extra") / "manifest.json"

_SERVED_PIXELS = 2**22
"""Most pixels of a window that is sent, without this halo."""

_TINY = 1e-12
"""Probability that stands for 0, whose logarithm is not finite."""


class ClassMismatchError(ValueError):
    """A model with other classes than a data set."""


def open_exported(folder: Path, names: Sequence[str], channels: int) -> WindowedPredictor:
    """Open an exported model.

    Args:
        folder: `<repository>/<model>/<version>`, with a SavedModel and its manifest.
        names: of the classes of the data set.
        channels: of its images.

    Raises:
        ValueError: if the folder holds no such model, or one of other classes or channels.
    """
    if not (folder / MANIFEST_FILE).is_file() or not (folder / "saved_model.pb").is_file():
        raise ValueError(
            f"a model must be a SavedModel with {MANIFEST_FILE}; others are scored by the URL of "
            f"their server. Received: {folder}"
        )
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    order = find_order([entry["name"] for entry in manifest["classes"]], names)
    check_channels(manifest["image"]["channels"], channels)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def run(batch: CropBatch) -> NDArray[np.float32]:
        outputs = serve(image=tf.constant(batch.image), mask=tf.constant(batch.mask))
        return find_logits(np.asarray(outputs["probabilities"])[0], order)

    return WindowedPredictor(
        run, len(names), manifest["total_stride"], manifest["receptive_radius"]
    )


def open_served(
    client: Client, model: str | None, names: Sequence[str], channels: int
) -> WindowedPredictor:
    """Open a model of a server.

    Args:
        client: of the server; in use as long as the result is.
        model: its name; None for the one that answers requests that name none.
        names: of the classes of the data set.
        channels: of its images.

    Raises:
        ValueError: if the server has no such model, or one of other classes or channels.
        LacunaError: if it cannot be reached, or refuses.
    """
    ready = [entry for entry in client.models() if entry.is_ready]
    chosen = choose_model([entry.details for entry in ready], model, None)
    if not chosen:
        raise ValueError(
            "the model must be one that the server has ready: "
            f"{', '.join(sorted({entry.name for entry in ready})) or 'none'}. Received: {model}"
        )
    (found,) = (entry for entry in ready if entry.details == chosen)
    order = find_order([entry.name for entry in found.classes], names)
    check_channels(found.channels, channels)

    def run(batch: CropBatch) -> NDArray[np.float32]:
        mask = batch.mask[0, ..., 0]
        if not mask.any():
            return np.zeros((*mask.shape, len(names)), np.float32)
        result = client.segment(
            batch.image[0],
            mask,
            probabilities=True,
            model=found.name,
            version=found.version,
            nodata="none",
        )
        if result.probabilities is None:
            raise ValueError("a server must answer with probabilities. Received: labels alone")
        return find_logits(result.probabilities, order)

    stride, radius = found.details["total_stride"], found.details["receptive_radius"]
    return WindowedPredictor(run, len(names), stride, radius, _SERVED_PIXELS)


def find_order(classes: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the place of each class of a data set among those of a model.

    Args:
        classes: names of the model's.
        names: names of the data set's.

    Raises:
        ClassMismatchError: if they are not the same, in any order.
    """
    if sorted(classes) != sorted(names):
        raise ClassMismatchError(
            f"a model must have the classes of the data set: {', '.join(names)}. "
            f"Received: {', '.join(classes)}"
        )
    return [list(classes).index(name) for name in names]


def check_channels(found: int | None, channels: int) -> None:
    """Hold a model to the number of channels of a data set.

    Raises:
        ValueError: if it has another one.
    """
    if found not in (None, channels):
        raise ValueError(
            f"a model must have the {channels} channels of the data set. Received: {found}"
        )


def find_logits(probabilities: NDArray[Any], order: Sequence[int]) -> NDArray[np.float32]:
    """Return logits (H, W, K) of probabilities, in the order of the data set's classes."""
    chosen = probabilities[..., list(order)].astype(np.float64)
    return np.log(np.maximum(chosen, _TINY)).astype(np.float32)
