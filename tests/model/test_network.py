import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.layers import CoverageScale, FillInvalid, MaskedBatchNormalization
from model.network import NetworkConfig, build_network, fold_batch_norm
from service.runtime.manifest import Manifest
from tests.support.networks import NetworkRuntime, manifest_of, random_network
from tests.support.references import any_in_blocks, coverage
from tests.support.strategies import FILLS, make_scene

SMALL = NetworkConfig(widths=(5, 6, 7), convs_per_level=2)
SHAPES = [
    NetworkConfig(),
    *(
        NetworkConfig(widths=(4, 5, 6, 7)[:levels], convs_per_level=convs)
        for levels, convs in itertools.product((1, 2, 3, 4), (1, 2, 3))
    ),
]
shapes = pytest.mark.parametrize("config", SHAPES, ids=lambda c: f"{c.widths}×{c.convs_per_level}")


def make_batch(height, width, channels=3, value=0.0):
    scenes = [
        make_scene(height, width, valid, seed, channels, missing)
        for seed, (valid, missing) in enumerate([(1.0, "areas"), (0.6, "areas"), (0.2, "pixels")])
    ]
    images = np.stack([scene.filled(value) for scene in scenes])
    return images, np.stack([scene.mask for scene in scenes])[..., None]


def open_up(network):
    """Give weights that let any change through: nothing is negative, so no ReLU closes."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, MaskedBatchNormalization):
            layer.beta.assign(np.full(layer.beta.shape, 0.1))
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


@shapes
def test_the_folded_network_computes_what_the_trained_one_does_in_inference(config):
    network = random_network(config, seed=3)
    folded = fold_batch_norm(network, config)
    for size in ((1, 1), (5, 9), (33, 47)):
        batch = make_batch(*size)
        expected, actual = network(batch, training=False).numpy(), folded(batch).numpy()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_folding_leaves_the_trained_network_as_it_was():
    network = random_network(SMALL)
    before = [weight.copy() for weight in network.get_weights()]
    fold_batch_norm(network, SMALL)
    for weight, value in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("folded", [False, True])
def test_the_coverage_map_is_computed_once_a_level(folded):
    network = build_network(SMALL, folded=folded)
    maps = [layer for layer in network.layers if isinstance(layer, CoverageScale)]
    assert len(maps) == len(SMALL.widths)


def consumers(network, layer):
    return [
        other
        for other in network.layers
        if any(tensor is layer.output for tensor in keras.tree.flatten(other.input))
        and other is not layer
    ]


def convolutions(network):
    return [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.name != "logits"
    ]


def test_after_a_folded_convolution_one_multiplication_is_all_that_remains():
    network = build_network(SMALL, folded=True)
    found = convolutions(network)
    assert len(found) == SMALL.convs_per_level * (2 * len(SMALL.widths) - 1)
    for layer in found:
        (relu,) = consumers(network, layer)
        (product,) = consumers(network, relu)
        assert isinstance(relu, keras.layers.ReLU)
        assert isinstance(product, keras.layers.Multiply)
        for following in consumers(network, product):
            assert not isinstance(following, FillInvalid | MaskedBatchNormalization)


def test_the_folded_network_masks_only_its_input_and_its_output():
    network = build_network(SMALL, folded=True)
    masking = [layer.name for layer in network.layers if isinstance(layer, FillInvalid)]
    assert masking == ["fill", "output"]
    assert not any(isinstance(layer, MaskedBatchNormalization) for layer in network.layers)


def test_the_folded_network_carries_the_mask_in_its_last_channel_at_every_level():
    folded = fold_batch_norm(random_network(SMALL), SMALL)
    names = [layer.name for layer in convolutions(folded)]
    products = [folded.get_layer(f"{name}_coverage").output for name in names]
    _, masks = make_batch(16, 24)
    images, _ = make_batch(16, 24, value=np.nan)
    outputs = keras.Model(folded.input, products)([images, masks])
    for name, output in zip(names, outputs, strict=True):
        depth = int(name.removeprefix("down").removeprefix("up").split("_")[0])
        expected = any_in_blocks(masks, 2**depth)
        np.testing.assert_allclose(output[..., -1:], expected, rtol=1e-5, err_msg=name)
        np.testing.assert_array_equal(output[..., -1:].numpy() > 0, expected, err_msg=name)
        features = output.numpy()[~expected[..., 0]]
        np.testing.assert_array_equal(features, 0, err_msg=name)


def test_the_maps_of_every_level_are_those_of_the_formula():
    network = build_network(SMALL)
    _, masks = make_batch(16, 24)
    maps = [network.get_layer(f"coverage{depth}").output for depth in range(3)]
    for depth, actual in enumerate(
        keras.Model(network.input, maps)([np.zeros((3, 16, 24, 3)), masks])
    ):
        np.testing.assert_allclose(actual, coverage(any_in_blocks(masks, 2**depth), 3), rtol=1e-6)


@pytest.mark.parametrize("value", FILLS[1:])
def test_in_training_values_under_the_mask_change_neither_loss_nor_gradient(value):
    def differentiate(filled):
        network = random_network(SMALL)
        images, masks = make_batch(13, 18, value=filled)
        image = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = tf.reduce_mean(tf.square(network([image, tf.constant(masks)], training=True)))
        weights = [weight.value for weight in network.trainable_weights]
        return masks, tape.gradient(loss, [image, *weights]), network.get_weights()

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
        {"pixel_scale": -1.0},
        {"classes": 1},
        {"classes": 256},
    ],
)
def test_a_configuration_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        NetworkConfig(**arguments)
