"""Training a network on texture mosaics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from model.baselines import BaselineNetwork, Fill, check_twin
from model.data.mosaics import MosaicConfig, measure_mosaics, mosaic_dataset
from model.data.textures import CLASSES, load_textures
from model.network import FILL_LEVELS, NetworkConfig, build_network
from model.training.loop import OnStep, TrainingLoop, ignore_step, make_optimizer, make_schedule
from model.training.plans import (
    RunConflictError,
    claim_folder,
    follows_plan,
    read_plan,
    release_folder,
)
from model.training.runs import write_run


@dataclass(frozen=True)
class MosaicTrainingConfig:
    """Everything that decides the result of a training run.

    Attributes:
        name: of the model.
        description: of the model, one or two sentences for people.
        network: configuration of the network.
        mosaics: the training data.
        steps: number of batches.
        batch_size: mosaics in a batch.
        learning_rate: at its peak, reached after a twentieth of the steps; then a cosine to 0.
        weight_decay: of AdamW.
        seed: of the weights and of the data.
        twin: None for a masked network; for a baseline network of the same configuration, how it
            fills missing pixels.

    Raises:
        ValueError: if `twin` is not one of the fills.
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
        check_twin(self.twin)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)


PRESETS: Mapping[str, MosaicTrainingConfig] = MappingProxyType(
    {
        "groundcover": MosaicTrainingConfig(
            name="groundcover",
            description=(
                "Grass, gravel and brick told apart by texture. A small demonstration, trained on "
                "mosaics of three photographs: it knows these textures and little else."
            ),
            network=NetworkConfig(
                channels=3,
                classes=len(CLASSES),
                normalization="none",
                fill_levels=FILL_LEVELS,
            ),
        )
    }
)


def train_on_mosaics(
    config: MosaicTrainingConfig,
    output: Path,
    on_step: OnStep = ignore_step,
    steps_per_epoch: int = 100,
) -> keras.Model:
    """Train a network and write its run, or resume the same training after an interruption.

    Args:
        config: of the training.
        output: folder for `network.keras` and `training.json`, and for a checkpoint until then;
            created if it does not exist.
        on_step: called before the first step, after each, and after each epoch.
        steps_per_epoch: batches in an epoch, at most; each epoch ends with a checkpoint.

    Returns:
        The trained network.

    Raises:
        RunConflictError: if `output` belongs to a training on a folder of images.
        MissingExtraError: if the twin's fill needs an extra that is not installed.
    """
    plan = {"config": config.to_json(), "steps_per_epoch": steps_per_epoch}
    if "dataset" in (read_plan(output) or {}):
        raise RunConflictError(
            f"a run must have a folder of its own. Received: {output}, of a training on images"
        )
    parts = BaselineNetwork(config.network, config.twin) if config.twin else None
    if not follows_plan(output, plan):
        release_folder(output)
        claim_folder(output, plan, overwrite=True)
    keras.utils.set_random_seed(config.seed)
    network = build_network(config.network, parts)
    history = fit(network, config, on_step, steps_per_epoch, checkpoints=output)
    statistics = [channel._asdict() for channel in measure_mosaics(config.mosaics, config.seed)]
    record = {"config": config.to_json(), "statistics": statistics, "history": history}
    write_run(output, network, record, ("keras", "numpy", "scikit-image"))
    release_folder(output)
    return network


def fit(
    network: keras.Model,
    config: MosaicTrainingConfig,
    on_step: OnStep = ignore_step,
    steps_per_epoch: int = 100,
    checkpoints: Path | None = None,
) -> dict[str, list[float]]:
    """Fit any network from `[image, mask]` to logits to the mosaics of a configuration.

    Args:
        network: to be fitted.
        config: of the training.
        on_step: called before the first step, after each, and after each epoch.
        steps_per_epoch: batches in an epoch, at most; all epochs have the same length.
        checkpoints: folder for a checkpoint after each epoch; one that is there is resumed.

    Returns:
        Loss and mean IoU of each epoch.
    """
    optimizer = make_optimizer(config.weight_decay)
    schedule = make_schedule(config.steps, config.learning_rate)
    loop = _MosaicTraining(network, config.network.classes, optimizer, schedule, checkpoints)
    done, textures = loop.progress.step, load_textures("train")
    batches = mosaic_dataset(textures, config.mosaics, config.seed, config.batch_size, skip=done)
    epoch = max(n for n in range(1, steps_per_epoch + 1) if config.steps % n == 0)
    loop.run(batches, config.steps, epoch, on_step)
    history = loop.progress.history
    return {name: [entry[name] for entry in history] for name in history[0]}


class _MosaicTraining(TrainingLoop):
    """Training without validation: every mosaic is new, so the training batches are a measure."""

    def measure(self, step: int, losses: Sequence[float]) -> dict[str, float]:
        """Return the mean loss and the mean IoU of an epoch's batches."""
        del step
        # Summed one by one in float32, as Keras averages the loss over an epoch.
        total = reduce(np.add, np.asarray(losses, np.float32))
        return {"loss": float(total / np.float32(len(losses))), "mean_iou": self.shown_iou()}

    def shown_iou(self) -> float:
        """Return the mean IoU of the epoch's batches so far."""
        return float(self.mean_iou.result())
