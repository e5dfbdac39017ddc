"""Export of a trained network, as a SavedModel or in ONNX, that a server can run alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from lacuna.checksums import compute_checksums
from model.atomic import VERSION_FILE, replacing_version
from model.folding import FoldedNetwork, fold_batch_norm
from model.labels import IGNORE_LABEL
from model.network import NetworkConfig, build_network
from model.onnx_export.segmenter import build_onnx
from model.scoring.prediction import NetworkFacts
from model.strips import build_on_strips, place
from model.training.starting import NETWORK_FILE

Format = Literal["saved_model", "onnx"]

MANIFEST_SCHEMA = 1
IMAGE_DTYPES = ("uint8", "uint16", "float32")
MANIFEST_FILE = VERSION_FILE
ONNX_FILE = "model.onnx"


class FrozenSegmenter:
    """Graphs to save.

    All of them call one function for the weights, which are constants there. So the file holds
    these once, and a runtime that inlines the call sees constants in each graph.

    Args:
        network: from `fold_batch_norm`.
        config: its configuration.

    Attributes:
        signatures: the functions by their names.
    """

    def __init__(self, network: keras.Model, config: NetworkConfig) -> None:
        whole = [
            tf.TensorSpec((None, None, None, config.channels), tf.float32, name="image"),
            tf.TensorSpec((None, None, None, 1), tf.bool, name="mask"),
        ]
        tile = [*whole, tf.TensorSpec((4,), tf.int32, name="keep")]
        values = {weight.path: np.asarray(weight) for weight in network.weights}
        self._weights = _compile(
            lambda: {path: tf.constant(value) for path, value in values.items()}, []
        )
        cropped = build_network(config, FoldedNetwork(config), cropped=True)
        on_strips = build_on_strips(config, FoldedNetwork(config, "valid"))
        self._whole, self._tile = self._freeze(network, whole), self._freeze(cropped, tile)
        self._strips = self._freeze(on_strips, whole)
        self.signatures = {
            "serving_default": _compile(self._segment, whole),
            "labels": _compile(self._label, whole),
            "tile": _compile(self._segment_tile, tile),
            "tile_labels": _compile(self._label_tile, tile),
            "strips": _compile(self._segment_strips, whole),
            "strips_labels": _compile(self._label_strips, whole),
        }

    def _freeze(self, network: keras.Model, specs: Sequence[tf.TensorSpec]) -> Any:
        """Return the function from the inputs of a network to its outputs."""

        def compute(*inputs: Any) -> Any:
            weights = self._weights()
            values = [weights[weight.path] for weight in network.weights]
            outputs, _ = network.stateless_call(values, [], list(inputs), training=False)
            return outputs

        return _compile(compute, specs)

    def _segment(self, image: Any, mask: Any) -> dict[str, Any]:
        return choose_outputs(self._whole(image, mask), mask)

    def _label(self, image: Any, mask: Any) -> dict[str, Any]:
        return {"labels": choose_labels(self._whole(image, mask), mask)}

    def _segment_tile(self, image: Any, mask: Any, keep: Any) -> dict[str, Any]:
        return choose_outputs(self._tile(image, mask, keep), _crop(mask, keep))

    def _label_tile(self, image: Any, mask: Any, keep: Any) -> dict[str, Any]:
        return {"labels": choose_labels(self._tile(image, mask, keep), _crop(mask, keep))}

    def _segment_strips(self, image: Any, mask: Any) -> dict[str, Any]:
        logits, places = self._strips(image, mask)
        probabilities = place(tf.nn.softmax(logits), places, mask)
        return {
            "labels": _hide_labels(place(_find_best(logits), places, mask), mask),
            "probabilities": tf.where(mask, probabilities, 0.0),
        }

    def _label_strips(self, image: Any, mask: Any) -> dict[str, Any]:
        logits, places = self._strips(image, mask)
        return {"labels": _hide_labels(place(_find_best(logits), places, mask), mask)}


def _compile(function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Any:
    return tf.function(function, input_signature=specs, autograph=False)


def _crop(mask: Any, keep: Any) -> Any:
    top, left, height, width = tf.unstack(keep)
    return mask[:, top : top + height, left : left + width]


def choose_outputs(logits: Any, mask: Any) -> dict[str, Any]:
    """Return the outputs of `serving_default` for logits (N, H, W, K) and a mask (N, H, W, 1)."""
    probabilities = tf.where(mask, tf.nn.softmax(logits), 0.0)
    return {"labels": choose_labels(logits, mask), "probabilities": probabilities}


def choose_labels(logits: Any, mask: Any) -> Any:
    """Return labels uint8 (N, H, W) for logits (N, H, W, K) and a mask (N, H, W, 1)."""
    return _hide_labels(_find_best(logits), mask)


def _find_best(logits: Any) -> Any:
    return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.uint8)


def _hide_labels(labels: Any, mask: Any) -> Any:
    return tf.where(mask[..., 0], labels, tf.constant(IGNORE_LABEL, tf.uint8))


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
    config: NetworkFacts,
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
    network: keras.Model,
    config: NetworkConfig,
    manifest: Mapping[str, Any],
    output: Path,
    file_format: Format = "saved_model",
    temperature: float = 1.0,
) -> None:
    """Write a model with its manifest, which gets the checksums of its files.

    The signatures of a SavedModel take `image` float32 (N, H, W, C), raw values, and `mask` bool
    (N, H, W, 1), any H and W ≥ 1. `serving_default` returns `labels` uint8 (N, H, W), 255 =
    invalid, and `probabilities` float32 (N, H, W, K), 0 where invalid; `labels` returns the labels
    alone. `tile` and `tile_labels` also take `keep` int32 (4,), top, left, height and width of a
    window inside the image, the same for the whole batch. They return the same outputs for this
    window alone, bit for bit, and compute only what it depends on. `strips` and `strips_labels` are
    as the first two, bit for bit, and leave out blocks of 1 × 4 cells of the total stride in which
    no pixel is valid. A file in ONNX has the inputs and outputs of `serving_default`.
    Batch normalisation is folded into the convolutions and weights are constants. The network
    itself lies beside the manifest, so that training can go on from it.

    Args:
        network: from `build_network(config)`, trained.
        config: its configuration.
        manifest: from `build_manifest`.
        output: the folder to write, `<repository>/<name>/<version>`. An existing one is replaced
            once the new one is complete.
        file_format: `"saved_model"` or `"onnx"`.
        temperature: that the logits are divided by, positive. This is part of the last kernel.

    Raises:
        ValueError: if the network does not fit the configuration, or the temperature is not
            positive and finite.
    """
    folded = fold_batch_norm(network, config, temperature)
    if file_format == "onnx":
        write_version(output, manifest, lambda folder: _save_onnx(folded, folder), network)
    else:
        write_version(
            output, manifest, lambda folder: _save_graphs(folded, config, folder), network
        )


def _save_graphs(folded: keras.Model, config: NetworkConfig, folder: Path) -> None:
    save_signatures(FrozenSegmenter(folded, config).signatures, folder)


def save_signatures(signatures: Mapping[str, Any], folder: Path) -> None:
    """Save functions without variables as the signatures of a SavedModel."""
    tf.saved_model.save(
        tf.Module(),  # the functions have no variables that it would have to own
        str(folder),
        signatures=signatures,
        options=tf.saved_model.SaveOptions(save_debug_info=False),
    )


def _save_onnx(folded: keras.Model, folder: Path) -> None:
    folder.mkdir()
    (folder / ONNX_FILE).write_bytes(build_onnx(folded).SerializeToString(deterministic=True))


def write_version(
    output: Path,
    manifest: Mapping[str, Any],
    save: Callable[[Path], object],
    network: keras.Model | None = None,
) -> None:
    """Write the folder of a version, its manifest last.

    Args:
        output: the folder. An existing one is replaced once the new one is complete.
        manifest: without checksums.
        save: creates the folder that it is given, and writes the model's files into it.
        network: kept beside the manifest, for trainings that go on from it; None for no such file.
            Servers do not read it.

    Raises:
        ValueError: if the folder exists and holds anything but a version.
    """
    with replacing_version(output) as folder:
        save(folder)
        (folder / MANIFEST_FILE).parent.mkdir(exist_ok=True)
        if network is not None:
            network.save((folder / MANIFEST_FILE).with_name(NETWORK_FILE))
        complete = {**manifest, "checksums": compute_checksums(folder)}
        (folder / MANIFEST_FILE).write_text(json.dumps(complete, indent=2) + "\n")
