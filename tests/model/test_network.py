import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.folding import FoldedNetwork, fold_batch_norm
from model.layers import CoverageScale, MaskedBatchNormalization
from model.network import Architecture, NetworkConfig, build_network
from model.ops import NORMALIZATIONS
from service.runtime.manifest import Manifest
from tests.support.networks import (
    SHAPES,
    SMALL,
    NetworkRuntime,
    make_batch,
    manifest_of,
    random_network,
)
from tests.support.references import any_in_blocks, coverage
from tests.support.strategies import FILLS

shapes = pytest.mark.parametrize(
    "config", SHAPES, ids=lambda c: f"{c.block}{c.widths}×{c.convs_per_level}"
)


def open_up(network):
    """Give weights that let any change through: nothing is negative, so no ReLU closes."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, MaskedBatchNormalization):
            layer.beta.assign(np.full(layer.beta.shape, 0.1))
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.kernel.assign(rng.uniform(0.5, 1, layer.kernel.shape) / 9)
        elif isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(rng.uniform(0.5, 1, layer.kernel.shape) / layer.kernel.shape[2] / 9)


def measure_reach(network, config):
    """Change everything beyond a line and see how many pixels before it something changes."""
    runtime = NetworkRuntime(network, Manifest.model_validate(manifest_of(config)))
    line = -(-config.receptive_radius // config.total_stride) * config.total_stride + 8
    furthest = 0
    for at in range(line, line + config.total_stride):
        images, masks = make_batch(config.total_stride + 3, 2 * line + config.total_stride)
        other, hidden = images.copy(), masks.copy()
        other[:, :, at:] = 1e12  # so much that it is felt through every layer
        hidden[:, :, at:] = True
        for turn in (lambda a: a, lambda a: a.swapaxes(1, 2)):
            first, second = (
                turn(runtime.run(turn(i), turn(m)[..., 0], probabilities=True).probabilities)
                for i, m in ((images, masks), (other, hidden))
            )
            columns = np.flatnonzero((first != second).any(axis=(0, 1, 3)))
            furthest = max(furthest, at - int(columns.min()))
    return furthest


@shapes
def test_nothing_is_felt_beyond_the_receptive_radius_and_much_is_felt_within(config):
    network = build_network(config)
    open_up(network)
    measured = measure_reach(network, config)
    assert config.receptive_radius - 3 <= measured <= config.receptive_radius


def test_the_receptive_radius_of_known_networks():
    # By hand: levels × convolutions × cell, twice but for the coarsest, and the rest of a cell.
    assert NetworkConfig(widths=(4,), convs_per_level=1).receptive_radius == 1
    assert NetworkConfig(widths=(4, 4), convs_per_level=1).receptive_radius == 1 + 1 + 2 + 1
    assert NetworkConfig().receptive_radius == 2 * (2 + 4 + 8) + 16 + 7


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_the_total_stride_doubles_with_every_level(levels):
    assert NetworkConfig(widths=(4,) * levels).total_stride == 2 ** (levels - 1)


@pytest.mark.parametrize("levels", [2, 3])
def test_a_shift_by_the_total_stride_shifts_the_answer_and_no_smaller_one_does(levels):
    config = NetworkConfig(widths=(6,) * levels, convs_per_level=1)
    network = random_network(config)
    side = 2 * config.receptive_radius + 24
    images, masks = make_batch(side, side)
    inner = config.receptive_radius
    whole = network([images, masks]).numpy()

    def differs(shift):
        cut = network([images[:, :, shift:], masks[:, :, shift:]]).numpy()
        return not np.array_equal(cut[:, :, inner:], whole[:, :, shift + inner :])

    smaller = [2**level for level in range(levels - 1)]
    assert not differs(config.total_stride)
    assert all(differs(shift) for shift in smaller)


@pytest.mark.parametrize("form", [Architecture, FoldedNetwork])
def test_the_coverage_map_is_computed_once_a_level(form):
    network = build_network(SMALL, form(SMALL))
    maps = [layer for layer in network.layers if isinstance(layer, CoverageScale)]
    assert len(maps) == len(SMALL.widths)


def test_the_maps_of_every_level_are_those_of_the_formula():
    network = build_network(SMALL)
    _, masks = make_batch(16, 24)
    maps = [network.get_layer(f"coverage{depth}").output for depth in range(3)]
    for depth, actual in enumerate(
        keras.Model(network.input, maps)([np.zeros((3, 16, 24, 3)), masks])
    ):
        np.testing.assert_allclose(actual, coverage(any_in_blocks(masks, 2**depth), 3), rtol=1e-6)


@functools.cache
def differentiate(filled):
    """Return masks, gradients and weights of a training step with a value under the mask."""
    network = random_network(SMALL)
    images, masks = make_batch(13, 18, value=filled)
    image = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_mean(tf.square(network([image, tf.constant(masks)], training=True)))
    weights = [weight.value for weight in network.trainable_weights]
    return masks, tape.gradient(loss, [image, *weights]), network.get_weights()


@pytest.mark.parametrize("value", FILLS[1:])
def test_in_training_values_under_the_mask_change_neither_loss_nor_gradient(value):
    masks, expected, expected_weights = differentiate(0.0)
    _, actual, actual_weights = differentiate(value)
    np.testing.assert_array_equal(actual[0].numpy()[~masks[..., 0]], 0)
    for one, other in zip([*expected, *expected_weights], [*actual, *actual_weights], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("folded", [False, True])
def test_an_image_without_a_valid_pixel_gives_zeros(folded):
    network = random_network(SMALL)
    network = fold_batch_norm(network, SMALL) if folded else network
    images = np.full((2, 9, 11, 3), np.nan, np.float32)
    logits = network([images, np.zeros((2, 9, 11, 1), bool)])
    np.testing.assert_array_equal(logits, np.zeros((2, 9, 11, 3)))


def test_a_saved_network_gives_the_same_output_once_loaded(tmp_path):
    network = random_network(SMALL)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    batch = make_batch(11, 14)
    np.testing.assert_array_equal(loaded(batch), network(batch))


def test_a_configuration_from_before_there_were_normalisations_is_renormalised_by_area():
    config = {name: v for name, v in SMALL.to_json().items() if name != "normalization"}
    assert NetworkConfig(**config) == SMALL
    assert SMALL.normalization == "area"


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_level_is_renormalised_as_was_asked_for(normalization):
    config = NetworkConfig(widths=(4, 5), normalization=normalization)
    network = build_network(config)
    assert [network.get_layer(f"coverage{depth}").normalization for depth in (0, 1)] == [
        normalization
    ] * 2


def test_a_configuration_survives_json():
    config = NetworkConfig(channels=5, classes=7, widths=(3, 4), pixel_scale=2.0)
    assert NetworkConfig(**config.to_json()) == config
    assert NetworkConfig(widths=[3, 4]).widths == (3, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"widths": ()},
        {"widths": (4, 0)},
        {"channels": 0},
        {"convs_per_level": 0},
        {"pixel_scale": 0},
        {"pixel_scale": (1.0, 0.0, 1.0)},
        {"pixel_mean": (1.0, 2.0)},
        {"pixel_scale": -1.0},
        {"classes": 1},
        {"classes": 256},
        {"normalization": "group"},
    ],
)
def test_a_configuration_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        NetworkConfig(**arguments)
