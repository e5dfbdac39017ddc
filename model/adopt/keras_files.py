"""Networks in `.keras` and `.h5` files. Nothing in them is executed unless they are trusted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf

from model.adopt.freezing import describe, freeze, make_runner
from model.adopt.source import (
    AdoptionError,
    Source,
    TensorFacts,
    check_image,
    check_scores,
    choose_tensor,
    first_line,
)
from model.adopt.tracing import make_traceable, trace

SUFFIXES = (".keras", ".h5", ".hdf5")
_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Classes that run code which the file holds, or names."""
_OLDER = {"Functional", "Policy", "DTypePolicy"}
"""Classes that files of older versions name without their module."""
_SCALING = ("Rescaling", "Normalization")
_UNCHANGING = (
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)
_CONFIG_BYTES = 64 << 20
"""Largest configuration, unpacked."""
_PACKED = 50
"""Largest ratio of what an archive holds to its own size. Weights hardly shrink."""


def read_keras_file(path: Path, *, scores: str | None = None, trusts: bool = False) -> Source:
    """Read a network.

    Args:
        path: `.keras`, or `.h5` of an older Keras.
        scores: name of the output with the scores; None for the only one.
        trusts: True to execute the code that it holds.

    Raises:
        AdoptionError: if it cannot be read, holds code or unknown classes, or is no network from
            one image to scores.
    """
    return describe_network(load_network(path, trusts=trusts), scores)


def load_network(path: Path, *, trusts: bool = False) -> keras.Model:
    """Load a network; see `read_keras_file`."""
    classes = set(_read_classes(path))
    code = next((name for name in _CODE if name in classes), None)
    if code is not None and not trusts:
        raise AdoptionError(
            f"a Keras file must hold no code unless it is trusted; {path.name} has a {code} "
            "layer. If you know who made it: --trust"
        )
    unknown = sorted(name for name in classes if not _is_known(name))
    if unknown:
        raise AdoptionError(
            f"the layers of a Keras file must be those of Keras; {path.name} has "
            f"{', '.join(unknown)}. Where they are defined, model.export(DIR) writes a SavedModel, "
            "which needs no classes"
        )
    try:
        return keras.models.load_model(path, compile=False, safe_mode=not trusts)
    except Exception as error:
        raise AdoptionError(
            f"{path.name} must load in Keras {keras.__version__}; {first_line(error)}"
        ) from error


def _read_classes(path: Path) -> list[str]:
    """Return the names of the classes in a file that may not be those of Keras."""
    try:
        return list(_list_classes(json.loads(_read_config(path))))
    except AdoptionError:
        raise
    except Exception as error:  # damaged files make many kinds
        raise AdoptionError(
            f"{path.name} must be a network that Keras saved whole; {first_line(error)}"
        ) from error


def _read_config(path: Path) -> str | bytes:
    """Return the configuration from where Keras reads it, which chooses by the name of the file."""
    if path.suffix != ".keras":
        with h5py.File(path) as file:
            config = file.attrs["model_config"]
            return config if isinstance(config, str | bytes) else str(config)
    with zipfile.ZipFile(path) as archive:
        _check_unpacked(archive, path)
        return archive.read("config.json")


def _check_unpacked(archive: zipfile.ZipFile, path: Path) -> None:
    """Check how large an archive becomes, before anything of it is unpacked."""
    size = sum(entry.file_size for entry in archive.infolist())
    config_size = archive.getinfo("config.json").file_size
    largest = max(_CONFIG_BYTES, _PACKED * path.stat().st_size)
    if config_size > _CONFIG_BYTES or size > largest:
        raise AdoptionError(
            f"{path.name} must unpack to at most {largest} bytes, and its config.json to "
            f"{_CONFIG_BYTES}; it has {size}, and {config_size} in config.json"
        )


def _list_classes(config: Any) -> Iterator[str]:
    """List the names of the classes in a configuration that Keras does not say to be its own."""
    if isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        is_own = isinstance(module, str) and module.partition(".")[0] in ("keras", "builtins")
        if isinstance(name, str) and (name in _CODE or not is_own):
            yield name
        for value in config.values():
            yield from _list_classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _list_classes(value)


def _is_known(name: str) -> bool:
    """Return True if Keras has this class, or it is registered in this process."""
    if name in _CODE or name in _OLDER or name.startswith("__"):
        return True
    if any(name in registered.split(">") for registered in keras.saving.get_custom_objects()):
        return True
    places = (keras, keras.layers, keras.initializers, keras.regularizers, keras.constraints)
    return any(hasattr(place, name) for place in places)


def describe_network(network: keras.Model, scores: str | None = None) -> Source:
    """Describe a Keras network from one image to scores.

    Args:
        network: the network, functional or sequential.
        scores: name of the output with the scores; None for the only one.

    Raises:
        AdoptionError: if it is no such network.
    """
    network = _make_functional(network)
    image = choose_tensor(
        [_describe(tensor, tensor.name) for tensor in network.inputs], "input", None
    )
    check_image(image)
    outputs = [
        _describe(tensor, name)
        for tensor, name in zip(network.outputs, _name_outputs(network), strict=True)
    ]
    chosen = choose_tensor(outputs, "output", scores)
    check_scores(chosen)
    output = network.outputs[outputs.index(chosen)]
    network = keras.Model(network.inputs[0], output, name=network.name)
    traceable = make_traceable(network)
    function = freeze(trace(traceable, image))
    return Source(
        "Keras",
        image,
        chosen,
        make_runner(function, image.dtype),
        function,
        scales_itself=bool(_scales(network)),
        activation=_find_activation(output),
        network=network,
    )


def _make_functional(network: Any) -> keras.Model:
    """Return the network itself, or that of the layers of a sequential one."""
    if isinstance(network, keras.Sequential) and network.built:
        return keras.Model(network.inputs, network.outputs, name=network.name)
    if not hasattr(network, "output_names"):
        raise AdoptionError(
            f"a Keras network must be functional, or sequential and built; {network.name} is a "
            f"{type(network).__name__}. Where it is defined, model.export(DIR) writes a SavedModel"
        )
    return network


def _name_outputs(network: keras.Model) -> list[str]:
    """Return the keys of outputs that are a dictionary, else the names of their layers."""
    outputs = network._outputs_struct  # noqa: SLF001 (Keras has no other)
    keys = {id(tensor): key for key, tensor in outputs.items()} if isinstance(outputs, dict) else {}
    names = zip(network.outputs, network.output_names, strict=True)
    return [str(keys.get(id(tensor), name)) for tensor, name in names]


def _describe(tensor: Any, name: str) -> TensorFacts:
    return describe(tf.TensorSpec(tensor.shape, tensor.dtype), name)


def _scales(network: Any) -> bool | None:
    """Return True if a layer that scales comes before any with weights of its own.

    None if there is neither.
    """
    for layer in network.layers:
        if type(layer).__name__ in _SCALING:
            return True
        found = _scales(layer) if isinstance(layer, keras.Model) else None
        if found is not None:
            return found
        if layer.trainable_weights:
            return False
    return None


def _find_activation(tensor: Any) -> str | None:
    """Return the activation that made a tensor, past layers that change no value."""
    operation, node, index = tensor._keras_history  # noqa: SLF001 (Keras has no other)
    if isinstance(operation, keras.Model):
        return _find_activation(operation.outputs[index])
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    activation = getattr(operation, "activation", None)
    name = None if activation is None else getattr(activation, "__name__", None)
    if isinstance(operation, _UNCHANGING) or (
        name == "linear" and isinstance(operation, keras.layers.Activation)
    ):
        return _find_activation(operation._inbound_nodes[node].input_tensors[0])  # noqa: SLF001
    return name
