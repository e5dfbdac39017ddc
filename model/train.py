"""Training a network on texture mosaics, and what every training leaves behind."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from lacuna.distribution import VERSION
from model.checkpoints import (
    Progress,
    RunConflictError,
    abandon,
    claim_folder,
    follows_plan,
    load_progress,
    read_plan,
    read_variables,
    replace_file,
    save_progress,
    write_variables,
)
from model.data.mosaics import MosaicConfig, mosaic_dataset
from model.data.textures import CLASSES, load_textures
from model.losses import MaskedCrossEntropy
from model.metrics import MaskedMeanIoU
from model.network import NetworkConfig, build_network
from model.twins import FILLS, Fill, PlainForm

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
        twin: None for a masked network; else what stands against it, a plain one of the same shape,
            to which missing pixels are filled thus.

    Raises:
        ValueError: if `twin` is another.
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
    twin: Fill | None = None

    def __post_init__(self) -> None:
        if self.twin is not None and self.twin not in FILLS:
            raise ValueError(f"`twin` must be one of {', '.join(FILLS)}. Received: {self.twin!r}")

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
    """Train a network and write it down, or go on where the same training was cut short.

    Args:
        config: what to train.
        output: folder for `network.keras` and `training.json`, and for a checkpoint meanwhile; made
            if it is not there.
        callbacks: told of the progress.
        steps_per_epoch: how many batches make an epoch, after which progress is recorded, at most.

    Returns:
        The trained network.

    Raises:
        RunConflictError: if `output` belongs to a training on a folder of images.
    """
    plan = {"config": config.to_json(), "steps_per_epoch": steps_per_epoch}
    if "dataset" in (read_plan(output) or {}):
        raise RunConflictError(
            f"a run must have a folder of its own. Received: {output}, of a training on images"
        )
    if not follows_plan(output, plan):
        abandon(output)
        claim_folder(output, plan, anew=True)
    keras.utils.set_random_seed(config.seed)
    form = PlainForm(config.network, config.twin) if config.twin else None
    network = build_network(config.network, form)
    history = fit(network, config, callbacks, steps_per_epoch, checkpoints=output)
    replace_network(output / NETWORK_FILE, network)
    record = {
        "config": config.to_json(),
        "history": history,
        "versions": {"lacuna": VERSION}
        | {name: version(name) for name in ("keras", "numpy", "scikit-image")},
    }
    text = json.dumps(record, indent=2, default=float) + "\n"
    replace_file(output / TRAINING_FILE, text.encode())
    abandon(output)
    return network


def fit(
    network: keras.Model,
    config: TrainingConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    steps_per_epoch: int = 100,
    checkpoints: Path | None = None,
) -> dict[str, list[float]]:
    """Fit any network from `[image, mask]` to logits to the mosaics of a configuration.

    Args:
        network: to be fitted.
        config: what to train on, for how long, and how fast.
        callbacks: told of the progress.
        steps_per_epoch: how many batches make an epoch at most: all are equally long.
        checkpoints: folder for a checkpoint after each epoch, to go on from if there is one.

    Returns:
        Loss and mean IoU after each epoch.
    """
    network.compile(
        optimizer=make_optimizer(config.steps, config.learning_rate, config.weight_decay),
        loss=MaskedCrossEntropy(),
        metrics=[MaskedMeanIoU(config.network.classes)],
        jit_compile=False,  # XLA is slower than oneDNN on a CPU and compiles for every shape
    )
    epoch = max(n for n in range(1, steps_per_epoch + 1) if config.steps % n == 0)
    keeper = _Keeper(network, checkpoints)
    done = keeper.progress.step
    dataset = mosaic_dataset(
        load_textures("train"), config.mosaics, config.seed, config.batch_size, skip=done
    )
    network.fit(
        dataset,
        initial_epoch=done // epoch,
        epochs=config.steps // epoch,
        steps_per_epoch=epoch,
        shuffle=False,  # every mosaic is new
        callbacks=[keeper, *callbacks],
        verbose=0,
    )
    names = keeper.progress.history[0]
    return {name: [entry[name] for entry in keeper.progress.history] for name in names}


class _Keeper(keras.callbacks.Callback):
    """Gathers the history of a fit, keeps checkpoints, and puts the last one back.

    Args:
        network: compiled.
        folder: of the checkpoint; none is kept if None.
    """

    def __init__(self, network: keras.Model, folder: Path | None) -> None:
        super().__init__()
        self._folder = folder
        self.progress = (load_progress(folder) if folder else None) or Progress(step=0)
        if self.progress.step:
            network.optimizer.build(network.trainable_variables)
            write_variables(network.variables, self.progress.weights)
            write_variables(network.optimizer.variables, self.progress.optimizer)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write down how far the fit has come."""
        del epoch
        self.progress.history.append({name: float(value) for name, value in (logs or {}).items()})
        if self._folder is not None:
            self.progress.step = int(self.model.optimizer.iterations)
            self.progress.weights = read_variables(self.model.variables)
            self.progress.optimizer = read_variables(self.model.optimizer.variables)
            save_progress(self._folder, self.progress)


def make_optimizer(steps: int, learning_rate: float, weight_decay: float) -> Any:
    """Make AdamW with a linear warm-up over a twentieth of the steps, then a cosine to 0."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=steps - steps // 20,
        warmup_target=learning_rate,
        warmup_steps=steps // 20,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=1.0)


def replace_network(path: Path, network: keras.Model) -> None:
    """Save a network whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / path.name
        network.save(saved)
        replace_file(path, saved.read_bytes())


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
        "network": config["network"],
        "versions": record["versions"],
    }
