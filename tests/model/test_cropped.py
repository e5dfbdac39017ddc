"""A window is computed as the whole image is, to the last bit, and the rest is not computed."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.folding import FoldedNetwork, fold_batch_norm
from model.network import BLOCKS, NetworkConfig, build_network
from tests.support.freezing import freeze
from tests.support.networks import random_network
from tests.support.strategies import fills, make_scene, scenes

CONFIGS = [
    *(NetworkConfig(widths=(4, 5, 6, 7)[:levels], convs_per_level=2) for levels in (1, 2, 3, 4)),
    *(NetworkConfig(widths=(4, 5, 6), convs_per_level=convs) for convs in (1, 3)),
    *(NetworkConfig(widths=(4, 5, 6), block=block) for block in BLOCKS[1:]),
    *(NetworkConfig(widths=(4, 5), normalization=name) for name in ("none", "mean", "variance")),
    NetworkConfig(widths=(3, 4), block="residual", normalization="variance"),
    NetworkConfig(widths=(4, 5, 6), fill_levels=2),
]


@st.composite
def windows(draw, scene):
    """Draw a window of an image: a pixel, a part at a border, or anything else."""
    place = []
    for side in scene.mask.shape:
        first = draw(st.integers(0, side - 1))
        length = draw(st.one_of(st.just(1), st.just(side - first), st.integers(1, side - first)))
        place.append((first, length))
    (top, height), (left, width) = place
    return top, left, height, width


def compile_network(network, config):
    specs = [
        tf.TensorSpec((None, None, None, config.channels), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
        tf.TensorSpec((4,), tf.int32),
    ][: len(network.inputs)]
    return freeze(lambda *inputs: network(list(inputs)), *specs)


@pytest.mark.parametrize(
    "config",
    CONFIGS,
    ids=lambda c: (
        f"{c.block}-{len(c.widths)}×{c.convs_per_level}-{c.normalization}-{c.fill_levels}"
    ),
)
def test_the_logits_of_a_window_are_those_of_the_whole_to_the_last_bit(config):
    folded = fold_batch_norm(random_network(config), config)
    cropped = build_network(config, FoldedNetwork(config), cropped=True)
    for layer in folded.layers:
        if layer.weights:
            cropped.get_layer(layer.name).set_weights(layer.get_weights())
    run_whole, run_window = (compile_network(network, config) for network in (folded, cropped))

    @settings(max_examples=12)
    @given(scenes(), fills, st.data())
    def holds(scene, fill, data):
        keep = data.draw(windows(scene), label="keep")
        top, left, height, width = keep
        image, mask = scene.filled(fill)[None], scene.mask[None, ..., None]
        expected = run_whole(image, mask).numpy()[:, top : top + height, left : left + width]
        actual = run_window(image, mask, tf.constant(keep, tf.int32)).numpy()
        np.testing.assert_array_equal(actual, expected, strict=True)

    holds()


def run_both(loaded, scenes, keep):
    """Run the tile and the whole, and return the outputs of the window."""
    top, left, height, width = keep
    images = tf.constant(np.stack([scene.filled(0) for scene in scenes]))
    masks = tf.constant(np.stack([scene.mask for scene in scenes])[..., None])
    inner = (slice(None), slice(top, top + height), slice(left, left + width))
    whole = loaded.signatures["serving_default"](image=images, mask=masks)
    window = tf.constant(keep, tf.int32)
    tile = loaded.signatures["tile"](image=images, mask=masks, keep=window)
    alone = loaded.signatures["tile_labels"](image=images, mask=masks, keep=window)
    expected = {name: value.numpy()[inner] for name, value in whole.items()}
    return expected, {name: value.numpy() for name, value in tile.items()}, alone["labels"].numpy()


@pytest.fixture(scope="module")
def loaded(exported_folder):
    return tf.saved_model.load(str(exported_folder))


def test_the_exported_tile_is_the_whole_to_the_last_bit_in_any_batch(loaded):
    @settings(max_examples=20)
    @given(scenes(max_side=200), st.integers(0, 2), st.data())
    @example(make_scene(368, 304, 0.7, 3, 3, "areas"), 1, None)
    def holds(scene, mates, data):
        keep = (56, 56, 248, 192) if data is None else data.draw(windows(scene), label="keep")
        others = [make_scene(*scene.mask.shape, 0.6, seed) for seed in range(mates)]
        expected, tile, labels = run_both(loaded, [scene, *others], keep)
        np.testing.assert_array_equal(tile["labels"], expected["labels"], strict=True)
        np.testing.assert_array_equal(tile["probabilities"], expected["probabilities"], strict=True)
        np.testing.assert_array_equal(labels, expected["labels"], strict=True)

    holds()


def test_what_a_window_does_not_need_is_not_computed():
    config = NetworkConfig()
    cropped = build_network(config, FoldedNetwork(config), cropped=True)
    features = [layer for layer in cropped.layers if layer.name.endswith("conv1")]
    sizes = tf.function(
        type(cropped)(cropped.inputs, [layer.output for layer in features]), autograph=False
    )
    image, mask = tf.zeros((1, 368, 368, 3)), tf.ones((1, 368, 368, 1), tf.bool)

    outputs = sizes([image, mask, tf.constant([56, 56, 256, 256])])

    found = {layer.name: tuple(x.shape[1:3]) for layer, x in zip(features, outputs, strict=True)}
    sides = {
        "down0": 348,
        "down1": 172,
        "down2": 84,
        "down3": 40,
        "up2": 72,
        "up1": 136,
        "up0": 260,
    }
    assert found == {f"{block}_conv1": (side, side) for block, side in sides.items()}
