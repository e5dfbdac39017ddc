"""Measurements against what is known of the networks from their layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.adopt.adopting import SourceOptions
from model.adopt.keras_files import describe_network
from model.adopt.layout import find_layout, run_network
from model.adopt.meaning import find_meaning
from model.adopt.measuring import Measured, Probe, check_batches, measure
from model.adopt.source import AdoptionError
from tests.support import foreign


def make_probe(network, values=(0, 1)):
    source = describe_network(network)
    layout = find_layout(source)
    return Probe(
        lambda images: run_network(source, layout, images), layout.channels, values, layout.size
    )


def stack(list_operations, size=None):
    keras.utils.set_random_seed(0)
    image = x = keras.Input((size, size, 2))
    for operation in list_operations():
        x = operation(x)
    return keras.Model(image, x)


def same(filters, kernel, strides=1, **options):
    return layers.Conv2D(filters, kernel, strides, "same", **options)


@pytest.mark.parametrize(
    ("operations", "factor", "cell", "stride", "radius"),
    [
        (lambda: [same(2, 1)], 1, 1, 1, 0),
        (lambda: [same(3, 3), same(2, 5)], 1, 1, 1, 3),
        (lambda: [same(2, 3, dilation_rate=4)], 1, 1, 1, 4),
        (lambda: [layers.AveragePooling2D(2), layers.UpSampling2D(2), same(2, 1)], 1, 2, 2, 1),
        (lambda: [layers.AveragePooling2D(3), layers.UpSampling2D(3), same(2, 1)], 1, 3, 3, 2),
        (lambda: [layers.AveragePooling2D(4), same(2, 1)], 4, 4, 4, 3),
        (lambda: [layers.AveragePooling2D(16), layers.UpSampling2D(16), same(2, 5)], 1, 16, 16, 17),
    ],
)
def test_a_networks_resolution_grid_and_reach_are_those_of_its_layers(
    operations, factor, cell, stride, radius
):
    found = measure(make_probe(stack(operations)))

    assert (found.factor, found.cell, found.total_stride, found.radius) == (
        factor,
        cell,
        stride,
        radius,
    )


def test_a_network_that_resizes_to_the_size_of_its_image_has_a_grid():
    """In images of other sizes than whole cells, it has none, but it is given no such images."""

    def run(images):
        coarse = tf.nn.avg_pool2d(images, 4, 4, "SAME")
        return tf.image.resize(coarse, images.shape[1:3]).numpy()

    found = measure(Probe(run, 2, (0, 1)))

    assert (found.factor, found.cell, found.total_stride, found.radius) == (1, 1, 4, 5)


def test_what_pools_the_whole_image_has_no_radius():
    found = measure(make_probe(foreign.image_pooling()))

    assert (found.radius, found.total_stride) == (None, None)


def test_a_network_of_one_size_is_measured_inside_it():
    found = measure(make_probe(stack(lambda: [same(3, 3), same(2, 5)], size=32)))

    assert (found.total_stride, found.radius) == (1, 3)


def test_a_network_of_one_size_that_reaches_all_of_it_has_no_radius():
    assert measure(make_probe(stack(lambda: [same(2, 31)], size=32))).radius is None


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda: layers.Conv2D(2, 3), "must cover the image.*384 × 384 pixels it is 382 × 382"),
        (lambda: Applied(lambda x: x / 0.0), "must be finite"),
        (lambda: Applied(lambda x: x[:1]), "for 2 of them it returned 1"),
    ],
)
def test_a_network_that_cannot_be_served_is_refused(operation, message):
    probe = make_probe(stack(lambda: [operation()]))
    with pytest.raises(AdoptionError, match=message):
        check_batches(probe, measure(probe))


class Applied(layers.Layer):
    """Applies a function that keeps the shape of one image."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)

    def compute_output_shape(self, shape):
        return shape


def found(lowest, highest, sums=False):
    return Measured(1, 1, 1, 0, lowest, highest, sums_to_one=sums)


def source_of(activation):
    return describe_network(stack(lambda: [same(2, 1, activation=activation)]))


@pytest.mark.parametrize(
    ("outputs", "measured", "told", "meaning"),
    [
        (3, found(-4, 7), None, "logits"),
        (3, found(0.01, 0.9, sums=True), None, "softmax"),
        (1, found(0.01, 0.9), None, "sigmoid"),
        (1, found(-3, 2), None, "logits"),
        (1, found(0.2, 0.4), "logits", "logits"),
        (4, found(0.2, 0.4), "logits", "logits"),
    ],
)
def test_the_meaning_of_outputs_is_found_or_told(outputs, measured, told, meaning):
    assert find_meaning(source_of("relu"), outputs, measured, told) == meaning


def test_scores_of_a_linear_layer_are_logits_wherever_they_lie():
    assert find_meaning(source_of("linear"), 1, found(0.1, 0.2)) == "logits"


@pytest.mark.parametrize(
    ("outputs", "measured", "told", "message"),
    [
        (3, found(0.1, 0.9), None, "the meaning of the outputs must be known"),
        (3, found(0.1, 0.9), "softmax", "must sum to 1"),
        (3, found(0.1, 0.9), "sigmoid", "must be one channel from 0 to 1; there are 3"),
        (1, found(-2, 2), "sigmoid", "they lie in -2 to 2"),
    ],
)
def test_outputs_of_unknown_or_contradictory_meaning_are_refused(outputs, measured, told, message):
    with pytest.raises(AdoptionError, match=message):
        find_meaning(source_of("relu"), outputs, measured, told)


def test_nothing_is_told_by_default():
    assert SourceOptions() == SourceOptions(None, None, None, None, trusts=False)


def test_images_are_drawn_in_the_range_of_values():
    image = make_probe(foreign.pixelwise(), (-1, 3)).draw(40, 33)

    assert image.shape == (1, 40, 33, 3)
    assert -1 <= image.min() < -0.5 < 2.5 < image.max() <= 3
    assert np.isfinite(image).all()
