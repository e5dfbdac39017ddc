"""Training a network on a folder of images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model import ops
from model.baselines import BaselineNetwork, Fill, check_twin
from model.data.batches import SampleReader, stream_batches
from model.data.crops import AugmentationConfig
from model.data.dataset import Dataset
from model.data.views import FEW_WINDOWS, list_views
from model.losses import make_loss
from model.network import FILL_LEVELS, NetworkConfig, build_network
from model.scoring.images import score_images
from model.scoring.prediction import Predictor
from model.training.checkpoints import read_variables, write_variables
from model.training.class_weights import choose_class_weights
from model.training.converted import ConvertedConfig
from model.training.loop import OnStep, TrainingLoop, ignore_step, make_optimizer, make_schedule
from model.training.moving_averages import correct_moving_averages
from model.training.plans import claim_folder
from model.training.runs import load_start, write_run
from model.training.starting import Start

LOGS_FOLDER = "logs"

NETWORKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        "small": {"widths": (7, 15, 31)},
        "residual": {"block": "residual"},
        "separable": {"block": "separable"},
        "large": {"widths": (31, 47, 79, 111)},
        "deep": {"widths": (15, 31, 47, 63, 63)},
    }
)
"""Network configurations by name, as fields of `NetworkConfig`."""


@dataclass(frozen=True)
class FolderTrainingConfig:
    """Configuration of a training on a folder of images.

    Attributes:
        network: a name in `NETWORKS`.
        augmentation: random variation of the images.
        steps: number of batches, at most.
        batch_size: crops in a batch.
        learning_rate: at its peak, reached after a twentieth of the steps; then a cosine to 0.
        weight_decay: of AdamW.
        validate_every: steps between two validations, each followed by a checkpoint.
        patience: validations without a better score after which training stops.
        seed: of the weights and of the data.
        normalization: as in `NetworkConfig`.
        fill_levels: as in `NetworkConfig`, but at most as many as the network has levels below its
            finest. A twin fills missing pixels in its own way.
        loss: terms of `MaskedLoss` with a plus between them.
        class_weights: see `choose_class_weights`.
        label_smoothing: as in `MaskedLoss`.
        ema: momentum of an exponential moving average of the weights, which is scored and kept in
            place of the weights; 0 for none.
        twin: None for a masked network; for a baseline network of the same configuration, how it
            fills missing pixels.

    Raises:
        ValueError: if `twin` is not one of the fills.
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
    normalization: ops.Normalization = "none"
    fill_levels: int = FILL_LEVELS
    loss: str = "cross-entropy"
    class_weights: str | None = None
    label_smoothing: float = 0.0
    ema: float = 0.0
    twin: Fill | None = None

    def __post_init__(self) -> None:
        check_twin(self.twin)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)


def choose_network(config: FolderTrainingConfig, dataset: Dataset) -> NetworkConfig:
    """Return the network configuration for a folder's images and classes."""
    network = NetworkConfig(
        channels=dataset.description.channels or 1,
        classes=len(dataset.description.classes),
        pixel_mean=dataset.normalization.means,
        pixel_scale=dataset.normalization.scales,
        normalization=config.normalization,
        **NETWORKS[config.network],
    )
    deepest = 0 if config.twin else len(network.widths) - 1
    return dataclasses.replace(network, fill_levels=min(config.fill_levels, deepest))


def choose_architecture(
    config: FolderTrainingConfig, network: NetworkConfig
) -> BaselineNetwork | None:
    """Return the layers of a twin; None for those of a masked network.

    Raises:
        MissingExtraError: if the fill needs an extra that is not installed.
    """
    return BaselineNetwork(network, config.twin) if config.twin else None


def train_on_folder(
    config: FolderTrainingConfig,
    dataset: Dataset,
    output: Path,
    on_step: OnStep = ignore_step,
    start: Start | None = None,
) -> keras.Model:
    """Train a network on a folder, or resume the same training after an interruption.

    The weights with the best score on the validation images are kept.

    Args:
        config: of the training.
        dataset: the images.
        output: folder for the checkpoint, TensorBoard's logs, `network.keras` and `training.json`;
            created if it does not exist.
        on_step: called before the first step, after each, and after each validation.
        start: network to go on from, whose layers and scaling are kept; None for new weights.

    Returns:
        The trained network.

    Raises:
        RunConflictError: if `output` holds a run of another configuration or of other images.
        StartError: if the training cannot start from `start`.
        MissingExtraError: if the twin's fill needs an extra that is not installed.
    """
    keras.utils.set_random_seed(config.seed)
    network_config: NetworkConfig | ConvertedConfig
    if start is None:
        network_config = choose_network(config, dataset)
        network = build_network(network_config, choose_architecture(config, network_config))
    else:
        start.check_dataset(dataset)
        network, network_config = load_start(start)
    plan = _describe_plan(config, dataset, network_config, start)
    claim_folder(output, plan)
    loop = _FolderTraining(config, dataset, network, network_config, output, is_new=start is None)
    loop.train(on_step)
    record = {
        "config": plan["config"],
        "dataset": {**plan["dataset"], "folder": str(dataset.folder.resolve())},
        "statistics": [channel._asdict() for channel in dataset.statistics],
        "history": loop.progress.history,
    }
    write_run(output, loop.network, record, ("keras", "numpy"))
    return loop.network


def _describe_plan(
    config: FolderTrainingConfig,
    dataset: Dataset,
    network_config: NetworkConfig | ConvertedConfig,
    start: Start | None,
) -> dict[str, Any]:
    description = dataclasses.asdict(dataset.description)
    origin = {"network_preset": config.network} if start is None else {"from": start.digest}
    parts = {"training": dataset.training, "validation": dataset.validation, "test": dataset.test}
    images = {name: len(part) for name, part in parts.items() if part}
    plan: dict[str, Any] = {
        "config": {
            **config.to_json(),
            "name": description["name"],
            "description": description["description"],
            **origin,
            "network": network_config.to_json(),
        },
        "dataset": {
            **description,
            "images": images,
            "digest": dataset.digest,
            **({"fold": dataset.fold} if dataset.fold else {}),
        },
    }
    # As read back from a JSON file: lists for tuples.
    return dict(json.loads(json.dumps(plan)))


class _FolderTraining(TrainingLoop):
    """Training that is validated after each interval and stops when no score is better."""

    def __init__(
        self,
        config: FolderTrainingConfig,
        dataset: Dataset,
        network: keras.Model,
        network_config: NetworkConfig | ConvertedConfig,
        output: Path,
        *,
        is_new: bool,
    ) -> None:
        optimizer = make_optimizer(config.weight_decay, config.ema)
        schedule = make_schedule(config.steps, config.learning_rate)
        weights = choose_class_weights(config.class_weights, dataset)
        loss = make_loss(config.loss, weights, config.label_smoothing)
        super().__init__(network, network_config.classes, optimizer, schedule, output, loss)
        self._config, self._dataset, self._output = config, dataset, output
        self._stride = network_config.total_stride
        self._reader = SampleReader(dataset.description, scenes=dataset.scenes)
        self._views = list_views(dataset.validation, dataset.scenes, FEW_WINDOWS)
        self._predictor = Predictor(network, network_config)
        self._is_new = is_new
        self._writer: Any = None

    def train(self, on_step: OnStep) -> None:
        """Train to the end and take the best weights."""
        config = self._config
        batches = stream_batches(
            self._dataset,
            self._reader,
            config.augmentation,
            config.seed,
            range(self.progress.step, config.steps),
            config.batch_size,
            self._stride,
        )
        self.run(batches, config.steps, config.validate_every, on_step, self._write_scalars)
        write_variables(self.network.variables, self.progress.best)

    def measure(self, step: int, losses: Sequence[float]) -> dict[str, float]:
        """Score the network on the validation images and remember the best weights."""
        if self._config.ema:
            self.optimizer.finalize_variable_values(self.network.trainable_variables)
        if self._is_new:  # others begin with averages of their own
            correct_moving_averages(self.network, step)
        halo = self._predictor.halo
        samples = (self._reader.read_view(view, halo) for view in self._views)
        validation = score_images(self._predictor, samples)
        if not self.progress.history or validation.mean_iou > self.shown_iou():
            self.progress.best = read_variables(self.network.variables)
        return {
            "step": step,
            "loss": float(np.mean(losses)),
            "mean_iou": float(self.mean_iou.result()),
            "val_loss": validation.loss,
            "val_mean_iou": validation.mean_iou,
            "learning_rate": float(self.optimizer.learning_rate),
        }

    def shown_iou(self) -> float:
        """Return the best mean IoU on the validation images so far."""
        return max((entry["val_mean_iou"] for entry in self.progress.history), default=0.0)

    def is_finished(self) -> bool:
        """Return whether too many scores have passed since the best one."""
        scores = [entry["val_mean_iou"] for entry in self.progress.history]
        waited = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        return waited >= self._config.patience

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
