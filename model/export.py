"""Export of a trained network as a SavedModel that a server can run without this package."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2 as freeze,
)

from lacuna.checksums import compute_checksums
from model.folding import fold_batch_norm
from model.labels import IGNORE_LABEL
from model.network import NetworkConfig

MANIFEST_SCHEMA = 1
IMAGE_DTYPES = ("uint8", "uint16", "float32")
MANIFEST_FILE = Path("assets.extra") / "manifest.json"


class FrozenSegmenter(tf.Module):
    """Graph to save. Both signatures call one frozen function, so weights are stored once.

    Args:
        network: from `[image, mask]` to logits; float32 (N, H, W, C), bool (N, H, W, 1) and
            float32 (N, H, W, K).
        config: its configuration.

    Attributes:
        serving_default: function that returns labels and probabilities.
        labels: function that returns labels alone.
    """

    def __init__(self, network: keras.Model, config: NetworkConfig) -> None:
        super().__init__()
        image = tf.TensorSpec((None, None, None, config.channels), tf.float32, name="image")
        mask = tf.TensorSpec((None, None, None, 1), tf.bool, name="mask")

        def compute_logits(image: Any, mask: Any) -> Any:
            return network([image, mask], training=False)

        traced = tf.function(compute_logits, input_signature=[image, mask], autograph=False)
        self._logits = freeze(traced.get_concrete_function())
        self.serving_default = tf.function(
            self._segment, input_signature=[image, mask], autograph=False
        )
        self.labels = tf.function(self._label, input_signature=[image, mask], autograph=False)

    def _segment(self, image: Any, mask: Any) -> dict[str, Any]:
        logits = self._call(image, mask)
        probabilities = tf.where(mask, tf.nn.softmax(logits), 0.0)
        return {"labels": _choose_labels(logits, mask), "probabilities": probabilities}

    def _label(self, image: Any, mask: Any) -> dict[str, Any]:
        return {"labels": _choose_labels(self._call(image, mask), mask)}

    def _call(self, image: Any, mask: Any) -> Any:
        result = self._logits(image, mask)
        return result[0] if isinstance(result, list | tuple) else result


def _choose_labels(logits: Any, mask: Any) -> Any:
    best = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.uint8)
    return tf.where(mask[..., 0], best, tf.constant(IGNORE_LABEL, tf.uint8))


def describe_classes(
    names: Sequence[str], colors: Sequence[tuple[int, int, int]]
) -> list[dict[str, Any]]:
    """Return the manifest's list of classes.

    Args:
        names: of the classes, in the order of their ids.
        colors: red, green and blue, 0 to 255, in the same order.
    """
    return [
        {"id": index, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for index, (name, color) in enumerate(zip(names, colors, strict=True))
    ]


def build_manifest(
    name: str,
    description: str,
    config: NetworkConfig,
    classes: Sequence[Mapping[str, Any]],
    image_dtype: str = "uint8",
    bands: Sequence[str] = (),
    statistics: Sequence[Mapping[str, Any]] | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the manifest: the facts about a network that a server and its users need.

    Args:
        name: of the model.
        description: one or two sentences for people.
        config: of the network.
        classes: from `describe_classes`.
        image_dtype: `"uint8"`, `"uint16"` or `"float32"`: type of the training images.
        bands: names of the channels, in order; empty if they have none.
        statistics: of the training images, one entry for each channel, as in `ChannelStatistics`;
            None if they are not known.
        training: description of the training.
        scores: of the network.

    Returns:
        The manifest, JSON values only.

    Raises:
        ValueError: if the number of classes is not that of the network's outputs, or `image_dtype`
            is not one of these.
    """
    if image_dtype not in IMAGE_DTYPES:
        raise ValueError(f"`image_dtype` must be one of {IMAGE_DTYPES}. Received: {image_dtype!r}")
    if len(classes) != config.classes:
        raise ValueError(
            f"`classes` must have one entry for each of the {config.classes} outputs. "
            f"Received: {len(classes)}"
        )
    image: dict[str, Any] = {"channels": config.channels, "dtype": image_dtype}
    if bands:
        image["bands"] = list(bands)
    if statistics is not None:
        image["statistics"] = [dict(entry) for entry in statistics]
    return {
        "schema": MANIFEST_SCHEMA,
        "name": name,
        "description": description,
        "image": image,
        "classes": [dict(entry) for entry in classes],
        "total_stride": config.total_stride,
        "receptive_radius": config.receptive_radius,
        "training": dict(training or {}),
        "scores": dict(scores or {}),
    }


def export_network(
    network: keras.Model, config: NetworkConfig, manifest: Mapping[str, Any], output: Path
) -> None:
    """Write a SavedModel with its manifest, which gets the checksums of its files.

    Two signatures, both from `image` float32 (N, H, W, C), raw values, and `mask` bool
    (N, H, W, 1), any H and W ≥ 1: `serving_default` returns `labels` uint8 (N, H, W),
    255 = invalid, and `probabilities` float32 (N, H, W, K), 0 where invalid; `labels` returns the
    labels alone.
    Batch normalisation is folded into the convolutions and weights are constants.

    Args:
        network: from `build_network(config)`, trained.
        config: its configuration.
        manifest: from `build_manifest`.
        output: the folder to write, `<repository>/<name>/<version>`. An existing one is replaced
            once the new one is complete.
    """
    module = FrozenSegmenter(fold_batch_norm(network, config), config)
    output.parent.mkdir(parents=True, exist_ok=True)
    # The name is not a number, so a server that watches the repository does not load it as a
    # version.
    unfinished = output.with_name(f".{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    tf.saved_model.save(
        module,
        str(unfinished),
        signatures={"serving_default": module.serving_default, "labels": module.labels},
        options=tf.saved_model.SaveOptions(save_debug_info=False),
    )
    (unfinished / MANIFEST_FILE).parent.mkdir()
    complete = {**manifest, "checksums": compute_checksums(unfinished)}
    (unfinished / MANIFEST_FILE).write_text(json.dumps(complete, indent=2) + "\n")
    shutil.rmtree(output, ignore_errors=True)
    unfinished.rename(output)
