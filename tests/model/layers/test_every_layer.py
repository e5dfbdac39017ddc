"""What every layer is held to, whatever it computes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.layers import (
    AppendMask,
    CoverageScale,
    CropToSize,
    FillInvalid,
    MaskedBatchNormalization,
    MaskedConcatenate,
    MaskedUpSampling2D,
    MaskMaxPooling2D,
    PadToMultiple,
    PartialConv2D,
)
from tests.support.strategies import FILLS

CHANNELS = 3
BIAS = keras.initializers.RandomNormal(stddev=0.5, seed=1)


class Case(NamedTuple):
    """A layer and how it is called: `(layer, x, mask)` to `(y, mask of y)`.

    `stride` is by how much y is coarser than x, and `local` says that y depends on nothing but a
    neighbourhood, so that the canvas must not matter.
    """

    make: Callable[[], Any]
    call: Callable[[Any, Any, Any], tuple[Any, Any]]
    stride: int = 1
    local: bool = True
    clears: bool = True


def conv(normalization="area", mask_update="keep", strides=1, **arguments):
    def make():
        return PartialConv2D(
            4,
            3,
            strides=strides,
            normalization=normalization,
            mask_update=mask_update,
            bias_initializer=BIAS,
            kernel_initializer=keras.initializers.HeNormal(seed=2),
            **arguments,
        )

    return Case(make, lambda layer, x, m: layer([x, m]), strides, mask_update == "keep")


def normalize(training):
    def call(layer, x, mask):
        return FillInvalid()([layer([x, mask], training=training), mask]), mask

    return Case(MaskedBatchNormalization, call, local=not training)


def upsample(layer, x, mask):
    fine = tf.repeat(tf.repeat(mask, 2, axis=1), 2, axis=2)
    checkered = np.indices(fine.shape[1:3]).sum(axis=0)[None, ..., None] % 3 > 0
    fine = tf.logical_and(fine, checkered)
    return layer([x, fine]), fine


def append(layer, x, mask):
    return layer([x, mask]), mask


def concatenate(layer, x, mask):
    return layer([x, mask, 2 * x, mask])


def crop(layer, x, mask):
    inner = mask[:, :-1, :-2]
    return layer([x, inner]), inner


CASES = {
    **{
        f"conv {normalization} {update} stride {strides}": conv(normalization, update, strides)
        for normalization in ("none", "mean", "area", "variance")
        for update in ("keep", "any", "all")
        for strides in (1, 2)
    },
    "conv stride 3": conv(strides=3),
    "conv dilated": conv(dilation_rate=2),
    "conv relu": conv(activation="relu"),
    "norm in inference": normalize(training=False),
    "norm in training": normalize(training=True),
    "fill": Case(FillInvalid, lambda layer, x, m: (layer([x, m]), m)),
    "upsample": Case(MaskedUpSampling2D, upsample, 1),
    "pad": Case(lambda: PadToMultiple(4), lambda layer, x, m: layer([x, m]), clears=False),
    "crop": Case(CropToSize, crop, clears=False),
    "append": Case(AppendMask, append, clears=False),
    "concatenate": Case(MaskedConcatenate, concatenate, clears=False),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
clearing = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.clears],
    ids=[name for name, case in CASES.items() if case.clears],
)


def draw(seed=0, n=3, height=12, width=13):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, height, width, CHANNELS)).astype(np.float32)
    mask = rng.random((n, height, width, 1)) < 0.9
    mask[:, 2:7, 3:9] = False  # wider than the kernels: some outputs have no input at all
    return x, mask


def fill(x, mask, value):
    return np.where(mask, x, np.float32(value))


def run(case, x, mask, layer=None):
    """Call a layer, and give its output at valid pixels, 0 elsewhere, and the mask."""
    y, updated = case.call(layer or case.make(), tf.constant(x), tf.constant(mask))
    return np.where(updated, y, 0), np.asarray(updated)


@pytest.mark.parametrize("value", FILLS[1:])
@cases
def test_what_stands_under_the_mask_changes_nothing(case, value):
    x, mask = draw()
    expected, expected_mask = run(case, fill(x, mask, 0), mask)
    actual, actual_mask = run(case, fill(x, mask, value), mask)
    np.testing.assert_array_equal(actual_mask, expected_mask)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("value", FILLS)
@cases
def test_gradients_are_zero_under_the_mask_and_finite_everywhere(case, value):
    x, mask = draw()
    layer, values = case.make(), tf.constant(fill(x, mask, value))
    with tf.GradientTape() as tape:
        tape.watch(values)
        y, updated = case.call(layer, values, tf.constant(mask))
        weights = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
        loss = tf.reduce_sum(tf.where(updated, y * weights, 0.0))
    trained = [weight.value for weight in layer.trainable_weights]
    to_input, *to_weights = tape.gradient(loss, [values, *trained])
    np.testing.assert_array_equal(to_input.numpy()[~mask[..., 0]], 0)
    assert np.any(to_input)
    for gradient in (to_input, *to_weights):
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("value", FILLS)
@clearing
def test_an_image_without_a_valid_pixel_gives_finite_zeros(case, value):
    x, mask = draw()
    mask[:] = False
    y, updated = case.call(case.make(), tf.constant(fill(x, mask, value)), tf.constant(mask))
    np.testing.assert_array_equal(y, np.zeros(y.shape))
    assert not np.any(updated)


def test_an_image_without_a_valid_pixel_gives_the_fill_value():
    x, mask = draw()
    y, _ = PartialConv2D(2, 3, fill_value=4.5)([fill(x, mask, np.nan), np.zeros_like(mask)])
    np.testing.assert_array_equal(y, np.full(y.shape, 4.5))


local = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.local],
    ids=[name for name, case in CASES.items() if case.local],
)


@pytest.mark.parametrize("canvas", [(1, 0), (0, 1), (5, 2), (11, 16)])
@local
def test_a_larger_canvas_of_hidden_noise_changes_no_bit(case, canvas):
    x, mask = draw()
    expected, expected_mask = run(case, x, mask)
    around = [(0, 0), (0, canvas[0]), (0, canvas[1]), (0, 0)]
    noise = np.random.default_rng(2).normal(0, 100, np.pad(x, around).shape).astype(np.float32)
    noise[:, : x.shape[1], : x.shape[2]] = x
    actual, actual_mask = run(case, noise, np.pad(mask, around))
    inner = (slice(None), slice(expected.shape[1]), slice(expected.shape[2]))
    np.testing.assert_array_equal(actual_mask[inner], expected_mask)
    np.testing.assert_array_equal(actual[inner], expected)


@local
def test_batch_mates_change_no_bit(case):
    x, mask = draw(n=4)
    layer = case.make()
    together, masks = run(case, x, mask, layer)
    order = np.array([2, 0, 3, 1])
    shuffled, _ = run(case, x[order], mask[order], layer)
    np.testing.assert_array_equal(shuffled, together[order])
    for index in range(4):
        alone, alone_mask = run(case, x[index : index + 1], mask[index : index + 1], layer)
        np.testing.assert_array_equal(alone[0], together[index])
        np.testing.assert_array_equal(alone_mask[0], masks[index])


def test_two_convolutions_that_hand_on_a_grown_mask_depend_on_the_canvas():
    # Why "keep" is the default: the next layer reads the ring that "any" adds beside the image.
    x, _ = draw(height=9, width=9)
    mask = np.ones((*x.shape[:3], 1), bool)
    first, second = (conv(mask_update="any").make() for _ in range(2))

    def twice(x, mask):
        y, _ = second(first([tf.constant(x), tf.constant(mask)]))
        return y[:, :9, :9].numpy()

    around = [(0, 0), (0, 6), (0, 6), (0, 0)]
    changed = twice(np.pad(x, around), np.pad(mask, around)) != twice(x, mask)
    assert changed[:, :, -2:].any()
    assert not changed[:, :-2, :-2].any()


ROUND_TRIPS = {
    "conv": lambda: PartialConv2D(
        4,
        (3, 5),
        strides=(1, 2),
        normalization="variance",
        mask_update="any",
        fill_value=2.5,
        activation="relu",
        kernel_regularizer="l2",
        name="a_name",
    ),
    "conv unpadded": lambda: PartialConv2D(
        4, 2, padding="valid", dilation_rate=2, use_bias=False, kernel_initializer="ones"
    ),
    "coverage": lambda: CoverageScale(5, "mean"),
    "fill": lambda: FillInvalid(-2.0),
    "norm": lambda: MaskedBatchNormalization(0.7, 0.1),
    "pad": lambda: PadToMultiple(8),
    "crop": CropToSize,
    "pool": lambda: MaskMaxPooling2D(3),
    "upsample": lambda: MaskedUpSampling2D(2),
    "concatenate": MaskedConcatenate,
    "append": AppendMask,
}
round_trips = pytest.mark.parametrize("make", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())


@round_trips
def test_a_layer_made_from_its_configuration_has_the_same_configuration(make):
    layer = make()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (
        keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(layer)
        ).get_config()
        == layer.get_config()
    )


@round_trips
def test_a_saved_layer_gives_the_same_output_once_loaded(make, tmp_path):
    layer = make()
    image = keras.Input((12, 12, CHANNELS))
    mask = keras.Input((12, 12, 1), dtype="bool")
    inputs = {
        "CoverageScale": mask,
        "MaskMaxPooling2D": mask,
        "MaskedUpSampling2D": [image[:, ::2, ::2], mask],
        "MaskedConcatenate": [image, mask, image, mask],
    }.get(type(layer).__name__, [image, mask])
    network = keras.Model([image, mask], layer(inputs))
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    network.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras", compile=False)
    x, valid = draw(height=12, width=12)
    for actual, expected in zip(
        keras.tree.flatten(loaded([x, valid])), keras.tree.flatten(network([x, valid])), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


X = np.zeros((1, 4, 4, CHANNELS), np.float32)
WRONG_MASKS = {
    "float": np.ones((1, 4, 4, 1), np.float32),
    "uint8": np.ones((1, 4, 4, 1), np.uint8),
    "three channels": np.ones((1, 4, 4, 3), bool),
    "no channel": np.ones((1, 4, 4), bool),
}
MASK_TAKERS = {
    "conv": lambda mask: PartialConv2D(1, 3)([X, mask]),
    "coverage": CoverageScale(3),
    "fill": lambda mask: FillInvalid()([X, mask]),
    "norm": lambda mask: MaskedBatchNormalization()([X, mask]),
    "pad": lambda mask: PadToMultiple(2)([X, mask]),
    "pool": MaskMaxPooling2D(2),
    "upsample": lambda mask: MaskedUpSampling2D(1)([X, mask]),
    "concatenate": lambda mask: MaskedConcatenate()([X, mask]),
    "append": lambda mask: AppendMask()([X, mask]),
}


@pytest.mark.parametrize("mask", WRONG_MASKS.values(), ids=WRONG_MASKS.keys())
@pytest.mark.parametrize("take", MASK_TAKERS.values(), ids=MASK_TAKERS.keys())
def test_a_mask_that_is_not_bool_of_one_channel_is_refused(take, mask):
    with pytest.raises(ValueError, match=r"bool of shape \(N, H, W, 1\). Received: "):
        take(mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CoverageScale(0),
        lambda: CoverageScale(2),
        lambda: CoverageScale(3, "sum"),
        lambda: PadToMultiple(0),
        lambda: PadToMultiple(2.0),
        lambda: MaskMaxPooling2D(0),
        lambda: MaskMaxPooling2D("2"),
        lambda: MaskedUpSampling2D(-1),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="Received: "):
        make()


def test_a_feature_map_without_its_mask_cannot_be_joined():
    with pytest.raises(ValueError, match="Received: 3 tensors"):
        MaskedConcatenate()([X, WRONG_MASKS["uint8"].astype(bool), X])
