"""The exported form is the trained network's function, in fewer passes."""

import dataclasses

import keras
import numpy as np
import pytest

from model.folding import FoldedNetwork, fold_batch_norm
from model.network import NetworkConfig, build_network
from tests.support.networks import SHAPES, SMALL, make_batch, random_network
from tests.support.references import any_in_blocks

shapes = pytest.mark.parametrize(
    "config", SHAPES, ids=lambda c: f"{c.block}{c.widths}×{c.convs_per_level}"
)


@shapes
def test_the_folded_network_computes_what_the_trained_one_does_in_inference(config):
    network = random_network(config, seed=3)
    folded = fold_batch_norm(network, config)
    for size in ((1, 1), (5, 9), (33, 47)):
        batch = make_batch(*size)
        expected, actual = network(batch, training=False).numpy(), folded(batch).numpy()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


BANDS = NetworkConfig(
    channels=3,
    classes=4,
    widths=(3, 4),
    convs_per_level=1,
    pixel_mean=(0.3, 2500.0, 101325.0),
    pixel_scale=(0.2, 600.0, 50.0),
)


def draw_bands(config, size, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(config.pixel_mean, config.pixel_scale, (2, *size, 3))
    return values.astype(np.float32), rng.random((2, *size, 1)) < 0.7


@pytest.mark.parametrize("normalization", ["area", "variance"])
def test_each_channel_is_brought_to_its_own_range_by_the_first_kernel(normalization):
    config = dataclasses.replace(BANDS, normalization=normalization)
    network = random_network(config, seed=3)
    images, masks = draw_bands(config, (17, 22))
    expected = network([images, masks], training=False).numpy()
    plain = dataclasses.replace(config, pixel_mean=0.0, pixel_scale=1.0)
    alike = build_network(plain)
    alike.set_weights(network.get_weights())
    by_hand = ((images - np.float64(config.pixel_mean)) / config.pixel_scale).astype(np.float32)
    tolerance = {"rtol": 0, "atol": 2e-3 * np.abs(expected).max()}

    np.testing.assert_allclose(alike([by_hand, masks], training=False), expected, **tolerance)
    np.testing.assert_allclose(
        fold_batch_norm(network, config)([images, masks]), expected, **tolerance
    )


def test_a_missing_pixel_adds_nothing_whatever_the_means_of_the_channels():
    folded = fold_batch_norm(random_network(BANDS, seed=3), BANDS)
    images, masks = draw_bands(BANDS, (17, 22))
    expected = folded([images, masks]).numpy()
    hidden = np.where(masks, images, np.float32(np.nan))
    around = [(0, 0), (0, 9), (0, 5), (0, 0)]
    padded = folded([np.pad(hidden, around, constant_values=1e9), np.pad(masks, around)]).numpy()

    np.testing.assert_array_equal(padded[:, :17, :22], expected)


def test_folding_leaves_the_trained_network_as_it_was():
    network = random_network(SMALL)
    before = [weight.copy() for weight in network.get_weights()]
    fold_batch_norm(network, SMALL)
    for weight, value in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


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
    network = build_network(SMALL, FoldedNetwork(SMALL))
    *found, last = convolutions(network)
    assert len(found) + 1 == SMALL.convs_per_level * (2 * len(SMALL.widths) - 1)
    for layer in found:
        (relu,) = consumers(network, layer)
        (product,) = consumers(network, relu)
        assert isinstance(relu, keras.layers.ReLU)
        assert isinstance(product, keras.layers.Multiply)
    ((logits,),) = [consumers(network, relu) for relu in consumers(network, last)]
    assert logits.name == "logits"


def test_the_folded_network_selects_only_in_its_first_layer():
    network = build_network(SMALL, FoldedNetwork(SMALL))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("EmbedMask") == 1
    assert {"FillInvalid", "MaskedBatchNormalization", "Rescaling"}.isdisjoint(kinds)


def test_what_is_filled_in_whole_cells_is_not_selected_again():
    config = dataclasses.replace(SMALL, fill_levels=len(SMALL.widths) - 1)
    network = build_network(config, FoldedNetwork(config))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("AppendMask") == 1
    assert {"FillInvalid", "EmbedMask"}.isdisjoint(kinds)


def test_the_folded_network_carries_the_mask_in_its_last_channel_at_every_level():
    folded = fold_batch_norm(random_network(SMALL), SMALL)
    names = [layer.name for layer in convolutions(folded)[:-1]]
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
