"""The files that a finished training leaves in its run's folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

import model.layers.windows  # noqa: F401 (registers the layers of converted networks)
from lacuna.distribution import VERSION
from model.atomic import replace_file
from model.baselines import check_fill
from model.network import NetworkConfig
from model.training.converted import ConvertedConfig
from model.training.starting import NETWORK_FILE, TRAINING_FILE, Start, StartError


def write_run(
    folder: Path, network: keras.Model, record: Mapping[str, Any], packages: tuple[str, ...]
) -> None:
    """Write a trained network and the record of its training.

    Args:
        folder: of the run.
        network: trained.
        record: JSON values.
        packages: whose versions the record lists.
    """
    versions = {"lacuna": VERSION} | {name: version(name) for name in packages}
    text = json.dumps({**record, "versions": versions}, indent=2, default=float) + "\n"
    _replace_network(folder / NETWORK_FILE, network)
    replace_file(folder / TRAINING_FILE, text.encode())


def _replace_network(path: Path, network: keras.Model) -> None:
    """Save a network whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / path.name
        network.save(saved)
        replace_file(path, saved.read_bytes())


def load_run(folder: Path) -> tuple[keras.Model, dict[str, Any]]:
    """Read a run's network and the record of its training.

    Args:
        folder: of the run.

    Returns:
        The network, and the record in `training.json`.

    Raises:
        ValueError: if the folder lacks one of the two files.
        MissingExtraError: if a twin's fill needs an extra that is not installed.
    """
    missing = [name for name in (NETWORK_FILE, TRAINING_FILE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"a run's folder holds {NETWORK_FILE} and {TRAINING_FILE}. "
            f"Received: {folder}, without {' and '.join(missing)}"
        )
    record: dict[str, Any] = json.loads((folder / TRAINING_FILE).read_text())
    if is_baseline(record):
        check_fill(record["config"]["twin"])  # Keras would hide the reason in a traceback
    return keras.saving.load_model(folder / NETWORK_FILE, compile=False), record


def load_start(start: Start) -> tuple[keras.Model, NetworkConfig | ConvertedConfig]:
    """Read the network that a training starts from, and its configuration.

    Args:
        start: from `read_start`.

    Raises:
        StartError: if it cannot be read, or has no weights to train.
    """
    try:
        network = keras.saving.load_model(start.path, compile=False)
        config = make_network_config(start.network)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StartError(f"{start.path} must be a network to train; {reason[:200]}") from error
    if not network.trainable_variables:
        raise StartError(f"a network to train must have weights to train; {start.path} has none")
    return network, config


def is_baseline(record: Mapping[str, Any]) -> bool:
    """Return whether a run trained a baseline network, which is for comparison only."""
    return bool(record["config"].get("twin"))


def read_network_config(record: Mapping[str, Any]) -> NetworkConfig | ConvertedConfig:
    """Return the network's configuration from a run's record."""
    return make_network_config(record["config"]["network"])


def make_network_config(values: Mapping[str, Any]) -> NetworkConfig | ConvertedConfig:
    """Return the configuration of a network from its JSON values."""
    is_converted = "receptive_radius" in values  # others follow from the widths
    return ConvertedConfig(**values) if is_converted else NetworkConfig(**values)


def describe_training(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a training for the manifest: its data, settings and versions.

    Args:
        record: from `load_run`.
    """
    config = record["config"]
    kept = ("steps", "batch_size", "learning_rate", "weight_decay", "seed")
    dataset = record.get("dataset")
    data = "mosaics of scikit-image's grass, gravel and brick photographs (CC0)"
    if dataset is not None:
        images = dataset["images"]
        data = (
            f"{images['training']} images, and {images['validation']} to choose the best weights by"
        )
    return {
        "data": data,
        **{name: config[name] for name in kept},
        **({"from": config["from"]} if "from" in config else {}),
        "network": config["network"],
        "versions": record["versions"],
    }
