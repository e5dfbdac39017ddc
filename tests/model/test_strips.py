"""On strips every pixel is computed as in the whole image, to the last bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.folding import FoldedNetwork, fold_batch_norm
from model.layers import FillByReflection
from model.layers.strip_positions import PlanStrips
from model.layers.strips import (
    CropBorder,
    FindReflections,
    TakePixels,
    TakeReflections,
    TakeUpSampled,
)
from model.network import NetworkConfig
from model.strips import build_on_strips, place
from tests.support.freezing import freeze
from tests.support.networks import random_network
from tests.support.strategies import fills, magnify, make_scene, scenes

CONFIGS = [
    NetworkConfig(widths=(4,)),
    NetworkConfig(widths=(4, 5), normalization="variance", block="residual"),
    NetworkConfig(widths=(4, 5, 6), block="separable"),
    NetworkConfig(widths=(4, 5, 6), convs_per_level=1, normalization="none"),
    NetworkConfig(widths=(4, 5, 6), convs_per_level=1, normalization="none", fill_levels=2),
    NetworkConfig(widths=(4, 5, 6), convs_per_level=1, fill_levels=1),
    NetworkConfig(widths=(4, 5), convs_per_level=3, block="residual"),
    NetworkConfig(widths=(3, 4, 5, 6), convs_per_level=1, normalization="mean"),
]


def compile_network(network, config):
    specs = [
        tf.TensorSpec((None, None, None, config.channels), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
    ]
    return freeze(lambda *inputs: network(list(inputs)), *specs)


def draw_gaps(data, size):
    """Draw which cells of 16 × 16 pixels are left out: none, some, most or all."""
    valid = data.draw(st.sampled_from((1.0, 0.6, 0.1, 0.0)), label="valid")
    rng = np.random.default_rng(data.draw(st.integers(0, 999), label="seed"))
    cells = rng.random((size[0] // 16 + 1, size[1] // 16 + 1)) < valid
    return magnify(cells, 16)[: size[0], : size[1]]


@pytest.mark.parametrize(
    "config",
    CONFIGS,
    ids=lambda c: (
        f"{c.block}-{len(c.widths)}×{c.convs_per_level}-{c.normalization}-{c.fill_levels}"
    ),
)
def test_the_logits_on_strips_are_those_of_the_whole_to_the_last_bit(config):
    folded = fold_batch_norm(random_network(config), config)
    on_strips = build_on_strips(config, FoldedNetwork(config, "valid"))
    for layer in folded.layers:
        if layer.weights:
            on_strips.get_layer(layer.name).set_weights(layer.get_weights())
    run_whole, run_strips = (compile_network(network, config) for network in (folded, on_strips))

    @settings(max_examples=8)
    @given(scenes(), fills, st.data())
    def holds(scene, fill, data):
        mask = scene.mask & draw_gaps(data, scene.mask.shape)
        image = np.where(mask[..., None], scene.image, np.float32(fill))[None]
        expected = run_whole(image, mask[None, ..., None]).numpy()
        logits, places = run_strips(image, mask[None, ..., None])
        actual = place(logits, places, mask[None, ..., None]).numpy()
        np.testing.assert_array_equal(actual, expected, strict=True)

    holds()


def test_the_exported_strips_are_the_whole_to_the_last_bit_in_any_batch(exported_folder):
    signatures = tf.saved_model.load(str(exported_folder)).signatures

    @settings(max_examples=12)
    @given(scenes(max_side=200), st.integers(0, 2), st.data())
    @example(make_scene(368, 304, 0.7, 3, 3, "areas"), 1, None)
    def holds(scene, mates, data):
        others = [make_scene(*scene.mask.shape, 0.6, seed, 3, "areas") for seed in range(mates)]
        masks = np.stack([s.mask for s in (scene, *others)])
        if data is not None:
            masks &= draw_gaps(data, scene.mask.shape)
        inputs = {
            "image": tf.constant(np.stack([s.image for s in (scene, *others)])),
            "mask": tf.constant(masks[..., None]),
        }
        expected = signatures["serving_default"](**inputs)
        found = signatures["strips"](**inputs)
        alone = signatures["strips_labels"](**inputs)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, strict=True)
        np.testing.assert_array_equal(alone["labels"], expected["labels"], strict=True)

    holds()


@pytest.mark.parametrize("size", [(5, 3), (9, 20), (16, 16)])
def test_pixels_are_taken_as_the_whole_canvas_is_filled(size):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, *size, 2)).astype(np.float32)
    mask = rng.random((3, *size, 1)) < 0.2
    expected, filled = FillByReflection(3)([image, mask])
    sources, found_mask = FindReflections(3)(mask)
    order = rng.permutation(filled.numpy().size).reshape(2, -1)

    y, valid = TakeReflections()([image, sources, tf.constant(order, tf.int32)])

    np.testing.assert_array_equal(found_mask, filled)
    np.testing.assert_array_equal(valid[0, ..., 0], filled.numpy().ravel()[order])
    wanted = expected.numpy().reshape(-1, 3)[order]
    np.testing.assert_array_equal(y[0], wanted)
    for nothing in TakeReflections()([image, sources, tf.constant([[-1]])]):
        assert not nothing.numpy().any()


def test_what_holds_no_valid_pixel_is_not_computed():
    mask = np.zeros((1, 256, 256, 1), bool)
    mask[:, 64:96, 70:80] = True

    pixels, down, up, skip, places = PlanStrips(4, 2)(tf.constant(mask))

    # Twelve blocks of eight rows, four of them of the strip and the rest empty, in eight runs.
    rows, columns = 8 * 8, 32
    assert pixels.shape == (rows + 8 * 8, columns + 8)
    assert [positions.shape for positions in down] == [
        (rows // 2**level + 8 * 4, columns // 2**level + 4) for level in (1, 2, 3)
    ]
    assert up[0].shape == (rows // 2 + 8 * 4 - 2, columns // 2 + 2)
    assert skip[0].shape == down[0].shape
    assert places.shape == (1, 256, 8)


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_ranks_and_dtypes_are_known_before_any_mask_is(levels):
    layer = PlanStrips(levels, 2)
    known = layer(keras.Input((None, None, 1), dtype="bool"))
    actual = layer(tf.ones((1, 24, 40, 1), tf.bool))

    tf.nest.assert_same_structure(known, actual)
    for spec, positions in zip(tf.nest.flatten(known), tf.nest.flatten(actual), strict=True):
        assert (spec.dtype, len(spec.shape)) == (positions.dtype.name, len(positions.shape))


def test_shapes_are_few():
    shapes = set()
    for seed in range(40):
        mask = make_scene(128, 128, 0.3, seed, missing="areas").mask
        shapes.add(tuple(PlanStrips(4, 2)(tf.constant(mask[None, ..., None]))[0].shape))

    assert len(shapes) < 10


def test_pixels_are_taken_and_what_is_nowhere_is_invalid():
    x = tf.reshape(tf.range(12.0), (1, 3, 4, 1))
    positions = tf.constant([[11, 0], [-1, 5]])

    assert TakePixels()([x, positions])[0, :, :, 0].numpy().tolist() == [[11, 0], [0, 5]]
    valid = TakePixels()([x > 4, positions])
    assert valid[0, :, :, 0].numpy().tolist() == [[True, False], [False, True]]


def test_each_pixel_that_is_upsampled_is_taken_four_times_where_it_is_valid():
    x, mask = tf.reshape(tf.range(4.0), (1, 2, 2, 1)), np.ones((1, 2, 4, 1), bool)
    mask[0, 0, 1] = False

    taken = TakeUpSampled()([x, tf.constant([[3, 1]]), tf.constant(mask)])

    assert taken[0, :, :, 0].numpy().tolist() == [[3, 0, 1, 1], [3, 3, 1, 1]]


@pytest.mark.parametrize("layer", [PlanStrips(3, 2), CropBorder(2)])
def test_a_layer_is_made_again_from_its_configuration(layer):
    again = type(layer).from_config(layer.get_config())

    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("arguments", [(0, 2), (4, 0), (4, 1.5)])
def test_levels_and_border_must_be_positive_integers(arguments):
    with pytest.raises(ValueError, match="must be a positive integer"):
        PlanStrips(*arguments)


@pytest.mark.parametrize("make", [lambda: tf.ones((1, 8, 8, 1)), lambda: keras.Input((8, 8, 1))])
def test_a_mask_must_be_bool(make):
    with pytest.raises(ValueError, match="bool"):
        PlanStrips(2, 2)(make())
