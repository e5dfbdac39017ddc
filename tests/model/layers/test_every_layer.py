"""What every layer is held to, whatever it computes. The layers are listed in `conformance.py`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import model.layers
from model.layers import (
    AppendMask,
    CoverageScale,
    CutUpSampling2D,
    DepthwisePartialConv2D,
    EmbedMask,
    FillByReflection,
    FillInvalid,
    KernelMaskedConv2D,
    MaskedAveragePooling2D,
    MaskedBatchNormalization,
    MaskedConcatenate,
    MaskedGlobalAveragePooling2D,
    MaskedGlobalMaxPooling2D,
    MaskedGroupNormalization,
    MaskedInstanceNormalization,
    MaskedMaxPooling2D,
    MaskedUpSampling2D,
    MaskMaxPooling2D,
    NormalizedConv2D,
    PadToMultiple,
    PartialConv2D,
    PartialConv2DTranspose,
    SeparablePartialConv2D,
    SubmanifoldConv2D,
    ValidityFromNoData,
)
from tests.model.layers.conformance import CASES, CHANNELS
from tests.support.freezing import freeze
from tests.support.strategies import FILLS


def over(wanted):
    """Run a test over the rows for which `wanted` is true."""
    chosen = {name: case for name, case in CASES.items() if wanted(case)}
    return pytest.mark.parametrize("case", chosen.values(), ids=chosen.keys())


every_case = over(lambda case: True)
one_of_each = over(lambda case: not case.variant)


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


def run_frozen(case, layer, *batches):
    """Call a layer as in an export, for each batch; see `run`."""
    call = freeze(
        lambda x, mask: case.call(layer, x, mask),
        tf.TensorSpec((None, None, None, CHANNELS), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
    )
    for x, mask in batches:
        y, updated = call(x, mask)
        yield np.where(updated, y, 0), np.asarray(updated)


def build(case, **kwargs):
    """Build a layer on features of unknown size, and give it and the network of it alone."""
    layer = case.make(**kwargs)
    image = keras.Input((None, None, CHANNELS))
    mask = keras.Input((None, None, 1), dtype="bool")
    return layer, keras.Model([image, mask], list(case.call(layer, image, mask)))


def assert_agree(case, actual, expected):
    """Compare bit for bit where that is promised, and up to rounding elsewhere."""
    if case.promise == "exact":
        np.testing.assert_array_equal(actual, expected)
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_every_layer_that_is_exported_has_a_row():
    listed = {type(case.make()).__name__ for case in CASES.values()}
    assert listed == set(model.layers.__all__)


def only_one(mask):
    single = np.zeros_like(mask)
    single[:, 4, 9] = True
    return single


@pytest.mark.parametrize(
    "change",
    [lambda mask: mask, np.ones_like, np.zeros_like, only_one],
    ids=["some valid", "all valid", "none valid", "one valid"],
)
@every_case
def test_it_computes_what_its_formula_says(case, change):
    x, mask = draw()
    mask = change(mask)
    layer = case.make()
    actual, actual_mask = run(case, x, mask, layer)
    expected, expected_mask = case.reference(layer, x, mask)
    np.testing.assert_array_equal(actual_mask, expected_mask)
    np.testing.assert_allclose(actual, np.where(expected_mask, expected, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", FILLS[1:])
@every_case
def test_what_stands_under_the_mask_changes_nothing(case, value):
    x, mask = draw()
    expected, expected_mask = run(case, fill(x, mask, 0), mask)
    actual, actual_mask = run(case, fill(x, mask, value), mask)
    np.testing.assert_array_equal(actual_mask, expected_mask)
    np.testing.assert_array_equal(actual, expected)


def differentiate(case, layer, x, mask):
    """Give the gradients of a weighted sum of valid outputs to the input and to the weights."""
    values = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(values)
        y, updated = case.call(layer, values, tf.constant(mask))
        weights = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
        loss = tf.reduce_sum(tf.where(updated, tf.cast(y, tf.float32) * weights, 0.0))
    trained = [weight.value for weight in layer.trainable_weights]
    to_input, *to_weights = tape.gradient(loss, [values, *trained])
    return to_input.numpy(), to_weights


@pytest.mark.parametrize("value", FILLS)
@every_case
def test_gradients_are_zero_under_the_mask_and_finite_everywhere(case, value):
    x, mask = draw()
    to_input, to_weights = differentiate(case, case.make(), fill(x, mask, value), mask)
    np.testing.assert_array_equal(to_input[~mask[..., 0]], 0)
    assert np.any(to_input)
    for gradient in (to_input, *to_weights):
        assert np.all(np.isfinite(gradient))


@every_case
def test_gradients_of_an_image_without_a_valid_pixel_are_finite(case):
    x, mask = draw()
    to_input, to_weights = differentiate(case, case.make(), x * np.nan, np.zeros_like(mask))
    np.testing.assert_array_equal(to_input, 0)
    for gradient in to_weights:
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("value", FILLS)
@over(lambda case: case.clears)
def test_an_image_without_a_valid_pixel_gives_zeros_or_the_fill_value(case, value):
    x, mask = draw()
    mask[:] = False
    layer = case.make()
    y, updated = case.call(layer, tf.constant(fill(x, mask, value)), tf.constant(mask))
    np.testing.assert_array_equal(y, np.full(y.shape, getattr(layer, "fill_value", 0)))
    assert not np.any(updated)


@pytest.mark.parametrize("canvas", [(1, 0), (0, 1), (5, 2), (11, 16)])
@every_case
def test_a_larger_canvas_of_hidden_noise_changes_nothing(case, canvas):
    x, mask = draw()
    layer = case.make()
    expected, expected_mask = run(case, x, mask, layer)
    around = [(0, 0), (0, canvas[0]), (0, canvas[1]), (0, 0)]
    noise = np.random.default_rng(2).normal(0, 100, np.pad(x, around).shape).astype(np.float32)
    noise[:, : x.shape[1], : x.shape[2]] = x
    actual, actual_mask = run(case, noise, np.pad(mask, around), layer)
    inner = tuple(slice(side) for side in expected.shape)
    np.testing.assert_array_equal(actual_mask[inner], expected_mask)
    assert_agree(case, actual[inner], expected)
    if not case.grows:
        assert actual_mask.sum() == expected_mask.sum()


@over(lambda case: case.promise != "batch")
def test_batch_mates_change_nothing(case):
    x, mask = draw(n=4)
    order = np.array([2, 0, 3, 1])
    batches = [np.arange(4), order, *(np.array([index]) for index in range(4))]
    (together, masks), (shuffled, _), *alone = run_frozen(
        case, case.make(), *((x[chosen], mask[chosen]) for chosen in batches)
    )
    assert_agree(case, shuffled, together[order])
    for index, (single, single_mask) in enumerate(alone):
        assert_agree(case, single[0], together[index])
        np.testing.assert_array_equal(single_mask[0], masks[index])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@every_case
def test_shapes_and_dtypes_are_known_before_any_image_is(case, policy):
    _, network = build(case, dtype=policy)
    x, mask = draw()
    for known, output in zip(network.outputs, network([x, mask]), strict=True):
        inferred, shape = known.shape, np.shape(output)
        assert known.dtype == output.dtype.name
        assert len(inferred) == len(shape)
        assert inferred[-1] == shape[-1]
        assert all(side in (None, actual) for side, actual in zip(inferred, shape, strict=True))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@every_case
def test_half_precision_gives_the_same_up_to_its_own_rounding(case, policy):
    x, mask = draw()
    layer, halved = case.make(), case.make(dtype=policy)
    expected, expected_mask = run(case, x, mask, layer)
    y, updated = case.call(halved, tf.constant(x), tf.constant(mask))
    assert y.dtype == policy.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in halved.weights)
    np.testing.assert_array_equal(updated, expected_mask)
    actual = np.where(updated, tf.cast(y, tf.float32), 0)
    np.testing.assert_allclose(actual, expected, rtol=0.05, atol=0.05 * np.abs(expected).max())
    try:
        to_input, to_weights = differentiate(case, halved, x, mask)
    except tf.errors.InvalidArgumentError as error:
        # On a CPU, TensorFlow has none of a dilated convolution of float16, nor of bfloat16 without
        # AVX-512.
        assert "do not yet support dilation rates" in str(error)  # noqa: PT017
        assert getattr(halved, "dilation_rate", (1, 1)) != (1, 1)
        return
    for gradient in (to_input, *to_weights):
        assert np.all(np.isfinite(gradient))


@every_case
def test_a_layer_made_from_its_configuration_has_the_same_configuration(case):
    layer = case.make(name="a_name")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    packed = keras.saving.serialize_keras_object(layer)
    unpacked = keras.saving.deserialize_keras_object(packed)
    assert unpacked.get_config() == layer.get_config()


def randomize(network):
    """Give every weight a number at random: untrained ones could be taken for others."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))


@one_of_each
def test_a_saved_layer_gives_the_same_output_once_loaded(case, tmp_path):
    _, network = build(case)
    randomize(network)
    network.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras", compile=False)
    for actual, expected in zip(loaded([*draw()]), network([*draw()]), strict=True):
        np.testing.assert_array_equal(actual, expected)


@one_of_each
def test_a_layer_gives_the_same_output_from_a_saved_model(case, tmp_path):
    _, network = build(case)
    randomize(network)
    network.export(tmp_path, verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    for actual, expected in zip(loaded.serve([*draw()]), network([*draw()]), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_two_convolutions_that_hand_on_a_grown_mask_depend_on_the_canvas():
    # Why "keep" is the default: the next layer reads the ring that "any" adds beside the image.
    x, _ = draw(height=9, width=9)
    mask = np.ones((*x.shape[:3], 1), bool)
    first, second = (CASES["conv area any stride 1"].make() for _ in range(2))

    def twice(x, mask):
        y, _ = second(first([tf.constant(x), tf.constant(mask)]))
        return y[:, :9, :9].numpy()

    around = [(0, 0), (0, 6), (0, 6), (0, 0)]
    changed = twice(np.pad(x, around), np.pad(mask, around)) != twice(x, mask)
    assert changed[:, :, -2:].any()
    assert not changed[:, :-2, :-2].any()


@pytest.mark.parametrize("name", ["conv any inside the extent", "normalized inside the extent"])
def test_layers_that_grow_inside_the_extent_can_follow_each_other_in_any_canvas(name):
    x, mask = draw()
    extent = np.ones_like(mask)
    first, second = (CASES[name].make() for _ in range(2))

    def twice(x, mask, extent):
        y, grown = second([*first([tf.constant(x), tf.constant(mask), extent]), extent])
        return y[:, :12, :13].numpy(), grown[:, :12, :13].numpy()

    around = [(0, 0), (0, 6), (0, 7), (0, 0)]
    expected, grown = twice(x, mask, extent)
    assert np.count_nonzero(grown) > np.count_nonzero(mask)
    for actual, wanted in zip(
        twice(*(np.pad(array, around) for array in (x, mask, extent))),
        (expected, grown),
        strict=True,
    ):
        np.testing.assert_array_equal(actual, wanted)


X = np.zeros((1, 4, 4, CHANNELS), np.float32)
WRONG_MASKS = {
    "float": np.ones((1, 4, 4, 1), np.float32),
    "uint8": np.ones((1, 4, 4, 1), np.uint8),
    "three channels": np.ones((1, 4, 4, 3), bool),
    "no channel": np.ones((1, 4, 4), bool),
}
ON_PAIRS = {
    "conv": lambda: PartialConv2D(1, 3),
    "depthwise": lambda: DepthwisePartialConv2D(3),
    "separable": lambda: SeparablePartialConv2D(1, 3),
    "submanifold": lambda: SubmanifoldConv2D(1, 3),
    "kernel mask": lambda: KernelMaskedConv2D(1, [[1]]),
    "transpose": lambda: PartialConv2DTranspose(1, 2),
    "max pooling": MaskedMaxPooling2D,
    "average pooling": MaskedAveragePooling2D,
    "global max pooling": MaskedGlobalMaxPooling2D,
    "global average pooling": MaskedGlobalAveragePooling2D,
    "group norm": lambda: MaskedGroupNormalization(1),
    "instance norm": MaskedInstanceNormalization,
    "batch norm": MaskedBatchNormalization,
    "fill": FillInvalid,
    "append": AppendMask,
    "pad": lambda: PadToMultiple(2),
    "reflection": lambda: FillByReflection(1),
}
MASK_TAKERS = {
    **{
        name: lambda mask, make=make: make()([tf.constant(X), tf.constant(mask)])
        for name, make in ON_PAIRS.items()
    },
    "validity": lambda mask: ValidityFromNoData()([X, tf.constant(mask)]),
    "bilinear upsampling": lambda mask: MaskedUpSampling2D(1, "bilinear")([X, mask, mask]),
    "extent": lambda mask: PartialConv2D(1, 3, mask_update="any")([X, X[..., :1] == 0, mask]),
    "extent of confidence": lambda mask: NormalizedConv2D(1, 3)([X, X[..., :1], mask]),
    "finer mask": lambda mask: PartialConv2DTranspose(1, 1, 1)([X, X[..., :1] == 0, mask]),
    "coverage": CoverageScale(3),
    "embed": lambda mask: EmbedMask(2)([X, mask]),
    "pool": MaskMaxPooling2D(2),
    "upsample": lambda mask: MaskedUpSampling2D(1)([X, mask]),
    "cut": lambda mask: CutUpSampling2D()([X, mask]),
    "concatenate": lambda mask: MaskedConcatenate()([X, mask]),
}


@pytest.mark.parametrize("mask", WRONG_MASKS.values(), ids=WRONG_MASKS.keys())
@pytest.mark.parametrize("take", MASK_TAKERS.values(), ids=MASK_TAKERS.keys())
def test_a_mask_that_is_not_bool_of_one_channel_is_refused(take, mask):
    with pytest.raises(ValueError, match=r"bool of shape \(N, H, W, 1\). Received: "):
        take(mask)


@pytest.mark.parametrize("make", ON_PAIRS.values(), ids=ON_PAIRS.keys())
def test_a_mask_that_is_not_bool_is_refused_when_a_network_is_built(make):
    with pytest.raises(ValueError, match=r"bool of shape \(N, H, W, 1\). Received: "):
        make()([keras.Input((None, None, CHANNELS)), keras.Input((None, None, 1))])


@pytest.mark.parametrize("layer", [CoverageScale(3), MaskMaxPooling2D(2)])
def test_a_mask_alone_that_is_not_bool_is_refused_when_a_network_is_built(layer):
    with pytest.raises(ValueError, match=r"bool of shape \(N, H, W, 1\). Received: "):
        layer(keras.Input((None, None, 1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: CoverageScale(0),
        lambda: CoverageScale(2),
        lambda: CoverageScale(3, "sum"),
        lambda: PadToMultiple(0),
        lambda: PadToMultiple(2.0),
        lambda: FillByReflection(0),
        lambda: FillByReflection(1.0),
        lambda: MaskMaxPooling2D(0),
        lambda: MaskMaxPooling2D("2"),
        lambda: MaskedUpSampling2D(-1),
        lambda: MaskedUpSampling2D(2, "cubic"),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="Received: "):
        make()


def test_a_feature_map_without_its_mask_cannot_be_joined():
    with pytest.raises(ValueError, match="Received: 3 tensors"):
        MaskedConcatenate()([X, WRONG_MASKS["uint8"].astype(bool), X])


@pytest.mark.parametrize("make", ON_PAIRS.values(), ids=ON_PAIRS.keys())
def test_a_mask_of_another_size_than_the_features_is_refused(make):
    for shape in ((1, 4, 3, 1), (1, 5, 4, 1), (2, 4, 4, 1), (1, 1, 1, 1)):
        with pytest.raises(ValueError, match=r"must have the features' N, H and W\. Received: "):
            make()([X, np.ones(shape, bool)])


@pytest.mark.parametrize("make", ON_PAIRS.values(), ids=ON_PAIRS.keys())
def test_another_number_of_inputs_is_refused(make):
    mask = np.ones((1, 4, 4, 1), bool)
    for inputs in ([X], [X, mask, mask, mask]):
        with pytest.raises(ValueError, match=f"Received: {len(inputs)} tensors"):
            make()(inputs)
