"""Training a masked network on texture mosaics."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from model.data.mosaics import MosaicConfig, mosaic_dataset
from model.data.textures import CLASSES, load_textures
from model.losses import MaskedCrossEntropy
from model.metrics import MaskedMeanIoU
from model.network import NetworkConfig, build_network

NETWORK_FILE = "network.keras"
TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training run yields.

    Attributes:
        name: of the model.
        description: of the model, one or two sentences for people.
        network: its shape.
        mosaics: what it is trained on.
        steps: batches.
        batch_size: mosaics in a batch.
        learning_rate: at its peak, reached after a twentieth of the steps; then a cosine to 0.
        weight_decay: of AdamW.
        seed: of the weights and of the data.
    """

    name: str
    description: str
    network: NetworkConfig = field(default_factory=NetworkConfig)
    mosaics: MosaicConfig = field(default_factory=MosaicConfig)
    steps: int = 1200
    batch_size: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON values."""
        return dataclasses.asdict(self)


PRESETS: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        "groundcover": TrainingConfig(
            name="groundcover",
            description=(
                "Grass, gravel and brick told apart by texture. A small demonstration, trained on "
                "mosaics of three photographs: it knows these textures and little else."
            ),
            network=NetworkConfig(channels=3, classes=len(CLASSES)),
        )
    }
)


def train(
    config: TrainingConfig,
    output: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    steps_per_epoch: int = 100,
) -> keras.Model:
    """Train a network and write it down.

    Args:
        config: what to train.
        output: folder for `network.keras` and `training.json`; made if it is not there.
        callbacks: told of the progress.
        steps_per_epoch: how many batches make an epoch, after which progress is recorded, at most.

    Returns:
        The trained network.
    """
    keras.utils.set_random_seed(config.seed)
    network = build_network(config.network)
    history = fit(network, config, callbacks, steps_per_epoch)
    output.mkdir(parents=True, exist_ok=True)
    network.save(output / NETWORK_FILE)
    record = {
        "config": config.to_json(),
        "history": history,
        "versions": {name: version(name) for name in ("lacuna", "keras", "numpy", "scikit-image")},
    }
    (output / TRAINING_FILE).write_text(json.dumps(record, indent=2, default=float) + "\n")
    return network


def fit(
    network: keras.Model,
    config: TrainingConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    steps_per_epoch: int = 100,
) -> dict[str, list[float]]:
    """Fit any network from `[image, mask]` to logits to the mosaics of a configuration.

    Args:
        network: to be fitted.
        config: what to train on, for how long, and how fast.
        callbacks: told of the progress.
        steps_per_epoch: how many batches make an epoch at most: all are equally long.

    Returns:
        Loss and mean IoU after each epoch.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=config.steps - config.steps // 20,
        warmup_target=config.learning_rate,
        warmup_steps=config.steps // 20,
    )
    network.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, clipnorm=1.0),
        loss=MaskedCrossEntropy(),
        metrics=[MaskedMeanIoU(config.network.classes)],
        jit_compile=False,  # XLA is slower than oneDNN on a CPU and compiles for every shape
    )
    dataset = mosaic_dataset(load_textures("train"), config.mosaics, config.seed, config.batch_size)
    epoch = max(n for n in range(1, steps_per_epoch + 1) if config.steps % n == 0)
    history = network.fit(
        dataset,
        epochs=config.steps // epoch,
        steps_per_epoch=epoch,
        shuffle=False,  # every mosaic is new
        callbacks=list(callbacks),
        verbose=0,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def load_run(folder: Path) -> tuple[keras.Model, dict[str, Any]]:
    """Read what `train` wrote.

    Args:
        folder: `train`'s output.

    Returns:
        The network, and the record in `training.json`.

    Raises:
        ValueError: if the folder is not one that `train` wrote.
    """
    missing = [name for name in (NETWORK_FILE, TRAINING_FILE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"a run's folder holds {NETWORK_FILE} and {TRAINING_FILE}. "
            f"Received: {folder}, without {' and '.join(missing)}"
        )
    record: dict[str, Any] = json.loads((folder / TRAINING_FILE).read_text())
    return keras.saving.load_model(folder / NETWORK_FILE, compile=False), record


def read_network_config(record: Mapping[str, Any]) -> NetworkConfig:
    """Read the network's shape back from a run's record."""
    return NetworkConfig(**record["config"]["network"])


def describe_training(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a manifest tells of a run: how it was trained, and with what.

    Args:
        record: from `load_run`.
    """
    config = record["config"]
    kept = ("steps", "batch_size", "learning_rate", "weight_decay", "seed")
    return {
        "data": "mosaics of scikit-image's grass, gravel and brick photographs (CC0)",
        **{name: config[name] for name in kept},
        "network": config["network"],
        "versions": record["versions"],
    }
