"""The learning rate of a training: that of the schedule, at every step and after a break."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.training.loop import TrainingLoop, make_optimizer, make_schedule

IMAGE, MASK, LABELS = (
    tf.ones((1, 2, 2, 3)),
    tf.ones((1, 2, 2, 1), tf.bool),
    tf.ones((1, 2, 2), tf.uint8),
)


class Loop(TrainingLoop):
    """Training of two logits for each pixel, which remembers the weights after each step."""

    def __init__(self, schedule, folder=None):
        image, mask = keras.Input((None, None, 3)), keras.Input((None, None, 1), dtype="bool")
        logits = keras.layers.Conv2D(2, 1, kernel_initializer="ones")(image)
        network = keras.Model([image, mask], logits)
        super().__init__(network, 2, make_optimizer(0.0), schedule, folder)
        self.weights, self.rates = [], []

    def train(self, steps):
        batches = tf.data.Dataset.from_tensors((IMAGE, MASK, LABELS)).repeat()
        self.run(batches, steps, 2, self._remember)
        return self

    def _remember(self, step, loss, mean_iou):
        self.weights.append(self.network.get_weights()[0])
        self.rates.append(float(self.optimizer.learning_rate))

    def measure(self, step, losses):
        return {"loss": losses[-1]}

    def shown_iou(self):
        return 0.0


def test_the_rate_rises_over_a_twentieth_of_the_steps_and_falls_to_0():
    rate = make_schedule(100, 0.5)
    rates = [rate(step) for step in range(101)]

    assert rates[:6] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates[5:] == pytest.approx(0.25 * (1 + np.cos(np.pi * np.arange(96) / 95)), abs=1e-6)


def test_a_step_moves_the_weights_as_far_as_its_rate_says():
    # While the gradient stays the same, a step of Adam is as long as the rate.
    before, first, second, *_ = Loop([0.0, 0.25, 0.0].__getitem__).train(2).weights

    np.testing.assert_array_equal(first, before)
    assert np.abs(second - first) == pytest.approx(0.25, rel=1e-3)


def test_a_training_goes_on_at_the_rate_where_it_ended(tmp_path):
    schedule = make_schedule(40, 0.5)
    whole = Loop(schedule).train(4)
    begun = Loop(schedule, tmp_path).train(2)
    again = Loop(schedule, tmp_path).train(4)

    # The number of steps, and two moments of the kernel and of the bias: never the rate.
    assert len(begun.progress.optimizer) == 1 + 2 * 2
    assert again.rates[0] == whole.rates[2] == pytest.approx(schedule(2))
    np.testing.assert_array_equal(again.weights[-1], whole.weights[-1])
