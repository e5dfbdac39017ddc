"""Training a masked network on a folder of images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lacuna.distribution import VERSION
from model import ops
from model.checkpoints import (
    Progress,
    claim_folder,
    load_progress,
    read_variables,
    replace_file,
    save_progress,
    write_variables,
)
from model.data.batches import SampleReader, describe_batch, stream_batches
from model.data.crops import AugmentationConfig
from model.data.folders import Dataset
from model.layers import MaskedBatchNormalization
from model.losses import MaskedCrossEntropy
from model.metrics import MaskedMeanIoU
from model.network import NetworkConfig, build_network
from model.scoring import Predictor, score
from model.train import NETWORK_FILE, TRAINING_FILE, make_optimizer, replace_network

LOGS_FOLDER = "logs"

NETWORKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        "small": {"widths": (7, 15, 31)},
        "residual": {"block": "residual"},
        "separable": {"block": "separable"},
    }
)
"""Shapes of networks by name, as fields of `NetworkConfig`."""


@dataclass(frozen=True)
class FolderTrainingConfig:
    """How to train on a folder of images.

    Attributes:
        network: a name in `NETWORKS`.
        augmentation: how images are varied.
        steps: batches, at most.
        batch_size: crops in a batch.
        learning_rate: at its peak, reached after a twentieth of the steps; then a cosine to 0.
        weight_decay: of AdamW.
        validate_every: steps from one score on the validation images, and checkpoint, to the next.
        patience: how many such scores may pass without a better one before training stops.
        seed: of the weights and of the data.
        normalization: as in `NetworkConfig`.
    """

    network: str = "default"
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    steps: int = 2000
    batch_size: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    validate_every: int = 100
    patience: int = 10
    seed: int = 0
    normalization: ops.Normalization = "area"

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON values."""
        return dataclasses.asdict(self)


OnStep = Callable[[int, float, float], None]
"""Told of the steps done, of the loss, and of the best validation mean IoU so far."""


def choose_network(config: FolderTrainingConfig, dataset: Dataset) -> NetworkConfig:
    """Give the shape of the network that suits a folder's images and classes."""
    return NetworkConfig(
        channels=dataset.description.channels or 1,
        classes=len(dataset.description.classes),
        pixel_mean=dataset.pixel_mean,
        pixel_scale=dataset.pixel_scale,
        normalization=config.normalization,
        **NETWORKS[config.network],
    )


def train_on_folder(
    config: FolderTrainingConfig,
    dataset: Dataset,
    output: Path,
    on_step: OnStep = lambda *_: None,
) -> keras.Model:
    """Train a network on a folder, or go on where a training of the same kind was cut short.

    The weights that did best on the validation images are kept.

    Args:
        config: how.
        dataset: on what.
        output: folder for the checkpoint, TensorBoard's logs, `network.keras` and `training.json`;
            made if it is not there.
        on_step: called before the first step, after each, and after each validation.

    Returns:
        The trained network.

    Raises:
        RunConflictError: if `output` holds a run of another configuration or of other images.
    """
    shape = choose_network(config, dataset)
    plan = _describe_plan(config, dataset, shape)
    claim_folder(output, plan)
    keras.utils.set_random_seed(config.seed)
    trainer = _FolderTrainer(config, dataset, shape, output)
    trainer.run(on_step)
    record = {
        "config": plan["config"],
        "dataset": {**plan["dataset"], "folder": str(dataset.folder.resolve())},
        "history": trainer.progress.history,
        "versions": {"lacuna": VERSION} | {name: version(name) for name in ("keras", "numpy")},
    }
    replace_network(output / NETWORK_FILE, trainer.network)
    replace_file(output / TRAINING_FILE, (json.dumps(record, indent=2) + "\n").encode())
    return trainer.network


def _describe_plan(
    config: FolderTrainingConfig, dataset: Dataset, shape: NetworkConfig
) -> dict[str, Any]:
    description = dataclasses.asdict(dataset.description)
    images = {"training": len(dataset.training), "validation": len(dataset.validation)}
    plan: dict[str, Any] = {
        "config": {
            **config.to_json(),
            "name": description["name"],
            "description": description["description"],
            "network_preset": config.network,
            "network": shape.to_json(),
        },
        "dataset": {**description, "images": images, "digest": dataset.digest},
    }
    # What a JSON file gives back: lists for tuples.
    return dict(json.loads(json.dumps(plan)))


class _FolderTrainer:
    """A network, its optimizer and how far they have come.

    Training goes in intervals. After each the network is scored and everything is written down, so
    what a killed process did since the last one is done again, the same way: the data of a step are
    a function of the seed and the step.
    """

    def __init__(
        self, config: FolderTrainingConfig, dataset: Dataset, shape: NetworkConfig, output: Path
    ) -> None:
        self._config, self._dataset, self._shape, self._output = config, dataset, shape, output
        self._reader = SampleReader(dataset.description)
        self.network = build_network(shape)
        self._optimizer = make_optimizer(config.steps, config.learning_rate, config.weight_decay)
        self._optimizer.build(self.network.trainable_variables)
        self._loss = MaskedCrossEntropy()
        self._iou = MaskedMeanIoU(shape.classes)
        self._predictor = Predictor(self.network, shape)
        signature = describe_batch(shape.channels)
        self._update = tf.function(self._take_step, input_signature=signature, autograph=False)
        self._writer: Any = None
        self.progress = load_progress(output) or Progress(step=0)
        if self.progress.step:
            write_variables(self.network.variables, self.progress.weights)
            write_variables(self._optimizer.variables, self.progress.optimizer)

    def run(self, on_step: OnStep) -> None:
        """Train to the end and take the best weights."""
        progress, config = self.progress, self._config
        on_step(progress.step, float("nan"), self._best_iou())
        while progress.step < config.steps and self._waited() < config.patience:
            stop = min(progress.step + config.validate_every, config.steps)
            loss = self._train_until(stop, on_step)
            progress.weights = read_variables(self.network.variables)
            progress.optimizer = read_variables(self._optimizer.variables)
            settle_statistics(self.network, stop)
            validation = score(self._predictor, map(self._reader.read, self._dataset.validation))
            entry = {
                "step": stop,
                "loss": loss,
                "mean_iou": float(self._iou.result()),
                "val_loss": validation.loss,
                "val_mean_iou": validation.mean_iou,
                "learning_rate": float(self._optimizer.learning_rate),
            }
            if not progress.history or entry["val_mean_iou"] > self._best_iou():
                progress.best = read_variables(self.network.variables)
            write_variables(self.network.variables, progress.weights)
            progress.step = stop
            progress.history.append(entry)
            save_progress(self._output, progress)
            on_step(stop, loss, self._best_iou())
            self._write_scalars(entry)
        write_variables(self.network.variables, progress.best)

    def _train_until(self, stop: int, on_step: OnStep) -> float:
        """Train up to a step and give the mean loss of its batches."""
        config, losses = self._config, []
        self._iou.reset_state()
        batches = stream_batches(
            self._dataset,
            self._reader,
            config.augmentation,
            config.seed,
            range(self.progress.step, stop),
            config.batch_size,
            self._shape.total_stride,
        )
        for step, batch in enumerate(batches, self.progress.step + 1):
            losses.append(float(self._update(*batch)))
            on_step(step, losses[-1], self._best_iou())
        return float(np.mean(losses))

    def _take_step(self, image: Any, mask: Any, labels: Any) -> Any:
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.network([image, mask], training=True)
            loss = self._loss(labels, logits)
            total = tf.add_n([loss, *self.network.losses])
        self._optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)
        self._iou.update_state(labels, logits)
        return loss

    def _write_scalars(self, entry: Mapping[str, float]) -> None:
        """Write a point of each curve for TensorBoard, which need not be installed for that."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._output / LOGS_FOLDER))
        proto = tf.compat.v1.SummaryMetadata
        metadata = proto(plugin_data=proto.PluginData(plugin_name="scalars"))
        with self._writer.as_default():
            for name, value in entry.items():
                if name != "step":
                    scalar = tf.constant(value, tf.float32)
                    tf.summary.write(name, scalar, step=int(entry["step"]), metadata=metadata)
        self._writer.flush()

    def _best_iou(self) -> float:
        return max((entry["val_mean_iou"] for entry in self.progress.history), default=0.0)

    def _waited(self) -> int:
        """Count the scores since the best one."""
        scores = [entry["val_mean_iou"] for entry in self.progress.history]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def settle_statistics(network: keras.Model, steps: int) -> None:
    """Take out of batch normalisation's moving averages what is left of their beginning, 0 and 1.

    After t steps of momentum m that is m**t, as in Adam's bias correction: 37 % after 100 steps of
    0.99, enough to spoil a network that is fine in training, and nothing after 2000.

    Args:
        network: its averages are changed.
        steps: how many it was trained for, at least 1.
    """
    for layer in network.layers:
        if isinstance(layer, MaskedBatchNormalization):
            rest = layer.momentum**steps
            mean, variance = (
                np.asarray(average.numpy(), np.float64)
                for average in (layer.moving_mean, layer.moving_variance)
            )
            layer.moving_mean.assign(mean / (1 - rest))
            layer.moving_variance.assign(np.maximum(variance - rest, 0) / (1 - rest))
