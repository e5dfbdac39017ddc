"""The training loop of every network: intervals of steps, each measured and saved.

What a killed process did since the last checkpoint is repeated in the same way, because the batch
of a step is a function of the seed and the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from model.losses import MaskedCrossEntropy
from model.metrics import MaskedMeanIoU
from model.training.checkpoints import (
    Progress,
    load_progress,
    read_variables,
    save_progress,
    write_variables,
)

OnStep = Callable[[int, float, float], None]
"""Receives the steps done, the loss and the mean IoU that the run shows as its progress."""

Schedule = Callable[[int], float]
"""From the number of steps done to the learning rate of the next."""

OnEntry = Callable[[Mapping[str, float]], None]
"""Receives an entry of the history."""


def ignore_step(step: int, loss: float, mean_iou: float) -> None:
    """Ignore the progress."""


class TrainingLoop(ABC):
    """A network with its optimizer, its metrics and its progress.

    A subclass measures the network after each interval and may end the training early.

    Args:
        network: from `[image, mask]` to logits; gets the weights of the last checkpoint, if any.
        classes: number of classes.
        optimizer: not yet built; its learning rate is a number, which is set before each step.
        schedule: from the number of steps done to the learning rate of the next.
        folder: for the checkpoint; None to keep no checkpoint.
        loss: of labels and logits; None for the cross-entropy.

    Attributes:
        network: being trained.
        optimizer: its optimizer.
        mean_iou: over the training batches of the current interval.
        progress: how far the training has come.
    """

    def __init__(
        self,
        network: keras.Model,
        classes: int,
        optimizer: Any,
        schedule: Schedule,
        folder: Path | None = None,
        loss: keras.losses.Loss | None = None,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.mean_iou = MaskedMeanIoU(classes)
        self._loss = loss or MaskedCrossEntropy()
        self._schedule, self._folder = schedule, folder
        self.progress = (load_progress(folder) if folder else None) or Progress(step=0)
        optimizer.build(network.trainable_variables)
        if self.progress.step:
            write_variables(network.variables, self.progress.weights)
            write_variables(self._optimizer_state(), self.progress.optimizer)
        optimizer.learning_rate = schedule(self.progress.step)

    @abstractmethod
    def measure(self, step: int, losses: Sequence[float]) -> dict[str, float]:
        """Return the entry of the history for an interval.

        The network's weights may be changed meanwhile; they are restored afterwards.

        Args:
            step: the last one of the interval.
            losses: of its batches.
        """

    @abstractmethod
    def shown_iou(self) -> float:
        """Return the mean IoU to show as progress."""

    def is_finished(self) -> bool:
        """Return whether to stop before all steps are done."""
        return False

    def run(
        self,
        batches: Any,
        steps: int,
        interval: int,
        on_step: OnStep = ignore_step,
        on_entry: OnEntry | None = None,
    ) -> None:
        """Train to the last step.

        Args:
            batches: a `tf.data.Dataset` of `(image, mask, labels)` from the next step on.
            steps: of the whole training.
            interval: steps between two measurements and checkpoints.
            on_step: called before the first step, after each, and after each measurement.
            on_entry: called with each entry of the history once it is saved.
        """
        update = tf.function(
            self._update, input_signature=list(batches.element_spec), autograph=False
        )
        stream = iter(batches)
        on_step(self.progress.step, float("nan"), self.shown_iou())
        while self.progress.step < steps and not self.is_finished():
            stop = min(self.progress.step + interval, steps)
            losses: list[float] = []
            self.mean_iou.reset_state()
            for step in range(self.progress.step + 1, stop + 1):
                losses.append(float(update(*next(stream))))
                self.optimizer.learning_rate = self._schedule(step)
                on_step(step, losses[-1], self.shown_iou())
            entry = self._end_interval(stop, losses)
            on_step(stop, entry["loss"], self.shown_iou())
            if on_entry is not None:
                on_entry(entry)

    def _end_interval(self, stop: int, losses: Sequence[float]) -> dict[str, float]:
        """Measure the network and write the checkpoint."""
        progress = self.progress
        progress.weights = read_variables(self.network.variables)
        progress.optimizer = read_variables(self._optimizer_state())
        entry = self.measure(stop, losses)
        write_variables(self.network.variables, progress.weights)
        progress.step = stop
        progress.history.append(entry)
        if self._folder is not None:
            save_progress(self._folder, progress)
        return entry

    def _optimizer_state(self) -> list[Any]:
        """Return the optimizer's variables without the learning rate, which the step determines."""
        rate = self.optimizer.learning_rate
        return [variable for variable in self.optimizer.variables if variable is not rate]

    def _update(self, image: Any, mask: Any, labels: Any) -> Any:
        """Take one step of gradient descent and return the loss."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.network([image, mask], training=True)
            loss = self._loss(labels, logits)
            total = tf.add_n([loss, *self.network.losses])
        self.optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)
        self.mean_iou.update_state(labels, logits)
        return loss


def make_schedule(steps: int, learning_rate: float) -> Schedule:
    """Return a linear warm-up over a twentieth of the steps, then a cosine to 0.

    It is not passed to the optimizer, since Keras would compute it once per variable.

    Args:
        steps: number of batches.
        learning_rate: at its peak.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=steps - steps // 20,
        warmup_target=learning_rate,
        warmup_steps=steps // 20,
    )
    return lambda step: float(schedule(step))


def make_optimizer(weight_decay: float, ema: float = 0.0) -> Any:
    """Return AdamW, whose learning rate is set before each step.

    Args:
        weight_decay: of AdamW.
        ema: momentum of the moving average of the weights that it keeps; 0 for none.
    """
    averages = {"use_ema": True, "ema_momentum": ema} if ema else {}
    return keras.optimizers.AdamW(0.0, weight_decay=weight_decay, clipnorm=1.0, **averages)
