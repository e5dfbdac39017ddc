from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from astropy.convolution import convolve
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate

from model.layers import PartialConv2D
from tests.support.freezing import freeze
from tests.support.references import Reservation, masked_conv2d
from tests.support.strategies import seeds, valid_fractions

NORMALIZATIONS = ("none", "mean", "area", "variance")
MASK_UPDATES = ("keep", "any", "all")
KERNELS = [("same", 1), ("same", 3), ("same", 5)] + [("valid", size) for size in (1, 2, 3, 5)]
PARITIES = ((9, 12), (10, 7))


def draw(seed, n=2, height=9, width=12, channels=3, valid=0.6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, height, width, channels)).astype(np.float32)
    return x, rng.random((n, height, width, 1)) < valid


def make_layer(channels, filters, *args, seed=0, **arguments):
    """Build a layer with kernel and bias at random."""
    layer = PartialConv2D(filters, *args, **arguments)
    layer.build([(None, None, None, channels), (None, None, None, 1)])
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return layer


def assert_close(actual, expected):
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


def compare_with_reference(x, mask, layer):
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(layer.filters)
    place = Reservation(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    expected, expected_mask = masked_conv2d(
        x,
        mask,
        layer.kernel.numpy(),
        bias,
        place,
        layer.normalization,
        layer.mask_update,
        layer.fill_value,
    )
    y, updated = layer([x, mask])
    np.testing.assert_array_equal(updated, expected_mask)
    assert_close(y, expected)


@pytest.mark.parametrize(("padding", "size"), KERNELS)
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("mask_update", MASK_UPDATES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_mode_equals_the_sliding_window_reference(
    normalization, mask_update, strides, padding, size
):
    layer = make_layer(
        3,
        4,
        size,
        strides=strides,
        padding=padding,
        normalization=normalization,
        mask_update=mask_update,
    )
    for height, width in PARITIES:
        compare_with_reference(*draw(size, height=height, width=width), layer)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("mask_update", MASK_UPDATES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_dilated_kernel_equals_the_sliding_window_reference(normalization, mask_update, padding):
    layer = make_layer(
        3,
        4,
        3,
        padding=padding,
        dilation_rate=2,
        normalization=normalization,
        mask_update=mask_update,
    )
    compare_with_reference(*draw(1), layer)


@given(
    seed=seeds,
    valid=valid_fractions,
    size=st.tuples(st.integers(7, 14), st.integers(7, 14)),
    kernel_size=st.tuples(st.sampled_from((1, 3, 5)), st.sampled_from((1, 3, 5))),
    step=st.one_of(
        st.fixed_dictionaries({"strides": st.tuples(st.integers(1, 3), st.integers(1, 3))}),
        st.fixed_dictionaries({"dilation_rate": st.sampled_from(((1, 2), (2, 1), (1, 1)))}),
    ),
    choices=st.fixed_dictionaries(
        {
            "padding": st.sampled_from(("same", "valid")),
            "normalization": st.sampled_from(NORMALIZATIONS),
            "mask_update": st.sampled_from(MASK_UPDATES),
            "fill_value": st.sampled_from((0.0, -1.5, 7.0)),
            "use_bias": st.booleans(),
        }
    ),
)
def test_oblong_kernels_steps_and_fills_equal_the_sliding_window_reference(
    seed, valid, size, kernel_size, step, choices
):
    x, mask = draw(seed, height=size[0], width=size[1], channels=2, valid=valid)
    if choices["padding"] == "valid" and "dilation_rate" in step:
        kernel_size = tuple(min(k, 3) for k in kernel_size)
    compare_with_reference(x, mask, make_layer(2, 3, kernel_size, seed=seed, **step, **choices))


@pytest.mark.parametrize("size", [3, 5])
def test_the_numerator_is_scipys_correlation_of_the_zero_filled_image(size):
    x, mask = draw(2, n=1, channels=1)
    layer = make_layer(1, 1, size, normalization="none", use_bias=False)
    kernel = layer.kernel.numpy()[:, :, 0, 0]
    expected = correlate(np.where(mask, x, 0)[0, :, :, 0], kernel, mode="constant", cval=0)
    y, _ = layer([x, mask])
    assert_close(y[0, :, :, 0], np.where(mask[0, :, :, 0], expected, 0))


@pytest.mark.parametrize("size", [3, 5])
def test_the_denominator_is_scipys_correlation_of_the_mask(size):
    # Over pixels that are 1, a kernel of ones counts what is valid.
    _, mask = draw(3, n=1)
    ones = np.ones(mask.shape, np.float32)
    layer = make_layer(1, 1, size, normalization="none", mask_update="any", use_bias=False)
    layer.kernel.assign(np.ones((size, size, 1, 1)))
    expected = correlate(
        mask[0, :, :, 0].astype(float), np.ones((size, size)), mode="constant", cval=0
    )
    y, _ = layer([ones, mask])
    np.testing.assert_array_equal(y[0, :, :, 0], expected)


@pytest.mark.parametrize("size", [3, 5])
def test_mean_with_a_constant_kernel_is_astropys_interpolated_convolution(size):
    x, mask = draw(4, n=1, channels=1, valid=0.4)
    image = np.where(mask, x, np.nan)[0, :, :, 0]
    image[2:8, 2:8] = np.nan  # a hole wider than the kernel, so that some outputs have no input
    layer = make_layer(1, 1, size, normalization="mean", mask_update="any", use_bias=False)
    layer.kernel.assign(np.ones((size, size, 1, 1)))
    with pytest.warns(AstropyUserWarning, match="contiguous region of NaN"):
        expected = convolve(
            image.astype(np.float64),
            np.ones((size, size)),
            boundary="fill",
            fill_value=np.nan,
            nan_treatment="interpolate",
            preserve_nan=False,
        )
    mask = np.isfinite(image)[None, ..., None]
    y, updated = layer([np.where(mask, image[None, ..., None], 0).astype(np.float32), mask])
    np.testing.assert_array_equal(updated[0, :, :, 0], np.isfinite(expected))
    assert_close(y[0, :, :, 0], np.nan_to_num(expected))


@pytest.mark.parametrize("mask_update", MASK_UPDATES)
@pytest.mark.parametrize("normalization", ["none", "area", "variance"])
def test_where_all_is_valid_the_interior_is_a_plain_convolution(normalization, mask_update):
    x, _ = draw(5)
    mask = np.ones((*x.shape[:3], 1), bool)
    layer = make_layer(3, 4, 5, normalization=normalization, mask_update=mask_update)
    plain = keras.layers.Conv2D(4, 5, padding="same")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert_close(layer([x, mask])[0][inner], plain(x).numpy()[inner])


def test_where_all_is_valid_an_unpadded_layer_is_a_plain_convolution_everywhere():
    x, _ = draw(5)
    layer = make_layer(3, 4, 3, strides=2, padding="valid")
    plain = keras.layers.Conv2D(4, 3, strides=2, padding="valid")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    y, updated = layer([x, np.ones((*x.shape[:3], 1), bool)])
    assert_close(y, plain(x))
    assert np.all(updated)


def test_the_border_is_renormalised_as_if_it_were_missing():
    layer = make_layer(1, 1, 3, use_bias=False)
    layer.kernel.assign(np.full((3, 3, 1, 1), 1 / 9))
    ones = np.ones((1, 4, 5, 1), np.float32)
    np.testing.assert_allclose(layer([ones, ones > 0])[0], ones, rtol=1e-6)


def test_a_mask_that_keeps_never_grows():
    _, mask = draw(6, valid=0.2)
    x = np.zeros((*mask.shape[:3], 3), np.float32)
    for _ in range(5):
        x, updated = make_layer(3, 3, 3)([x, mask])
        np.testing.assert_array_equal(updated, mask)


def test_a_mask_of_any_grows_by_the_radius_in_every_layer():
    mask = np.zeros((1, 15, 15, 1), bool)
    mask[0, 7, 7] = True
    x = np.ones((1, 15, 15, 1), np.float32)
    distance = np.maximum(*np.abs(np.mgrid[:15, :15] - 7))
    for layers in (1, 2, 3):
        x, mask = make_layer(1, 1, 5, mask_update="any")([x, mask])
        np.testing.assert_array_equal(mask[0, :, :, 0], distance <= 2 * layers)


def test_a_mask_of_all_shrinks_by_the_radius_from_holes_and_from_the_border():
    mask = np.ones((1, 9, 9, 1), bool)
    mask[0, 4, 4] = False
    _, updated = make_layer(1, 1, 3, mask_update="all")([np.ones((1, 9, 9, 1), np.float32), mask])
    expected = np.zeros((9, 9), bool)
    expected[1:-1, 1:-1] = True
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(updated[0, :, :, 0], expected)


def test_the_bias_stands_outside_the_scale():
    _, mask = draw(7, valid=0.3)
    layer = make_layer(3, 2, 3, normalization="mean")
    y, _ = layer([np.zeros((*mask.shape[:3], 3), np.float32), mask])
    expected = np.where(mask, layer.bias.numpy(), 0)
    np.testing.assert_array_equal(y, expected)


def test_the_fill_value_is_put_in_after_the_activation():
    x, mask = draw(8)
    y, _ = make_layer(3, 2, 3, fill_value=-3.0, activation="relu")([x, mask])
    assert np.all(y.numpy()[~mask[..., 0]] == -3)
    assert np.all(y.numpy()[mask[..., 0]] >= 0)


def test_strided_layers_see_the_same_grid_in_a_canvas_of_another_parity():
    x, mask = draw(9, height=8, width=8)
    for strides, size in product((2, 3), (1, 3, 5)):
        layer = make_layer(3, 4, size, strides=strides)
        alone, _ = layer([x, mask])
        wider = [np.pad(a, [(0, 0), (0, 1), (0, 1), (0, 0)]) for a in (x, mask)]
        padded, _ = layer(wider)
        np.testing.assert_array_equal(padded[:, : alone.shape[1], : alone.shape[2]], alone)


def test_the_ones_kernel_that_counts_is_not_a_weight():
    layer = make_layer(3, 4, 3)
    assert sorted(weight.name for weight in layer.weights) == ["bias", "kernel"]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_counts_are_exact_when_features_are_of_half_precision(dtype):
    # 17 · 17 = 289 is no bfloat16: rounded, "all" would never, or too early, be reached.
    layer = PartialConv2D(1, 17, padding="valid", mask_update="all", dtype=dtype)
    mask = np.ones((2, 17, 17, 1), bool)
    mask[1, 3, 3] = False
    y, updated = layer([np.ones((2, 17, 17, 1), np.float32), mask])
    assert y.dtype == dtype.removeprefix("mixed_")
    np.testing.assert_array_equal(np.ravel(updated), [True, False])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"strides": 2},
        {"padding": "valid"},
        {"dilation_rate": 2},
    ],
)
def test_the_kernels_gradient_is_that_of_the_reference_by_finite_differences(arguments):
    x, mask = draw(10, n=1, height=7, width=8, channels=2)
    layer = make_layer(2, 1, 3, **arguments)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer([x, mask])[0])
    gradient = tape.gradient(loss, layer.kernel.value)
    place = Reservation((3, 3), layer.strides, layer.padding, layer.dilation_rate)

    def reference(kernel):
        y, _ = masked_conv2d(x, mask, kernel, layer.bias.numpy(), place, "area", "keep")
        return y.sum()

    kernel = layer.kernel.numpy().astype(np.float64)
    for index in np.ndindex(kernel.shape):
        nudge = np.zeros_like(kernel)
        nudge[index] = 0.5  # the reference is linear in the kernel: any step is exact
        expected = reference(kernel + nudge) - reference(kernel - nudge)
        np.testing.assert_allclose(gradient[index], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": 0},
        {"filters": -1},
        {"filters": 2.0},
        {"kernel_size": 0},
        {"kernel_size": (3, 3, 3)},
        {"kernel_size": 1.5},
        {"kernel_size": None},
        {"kernel_size": 2},
        {"kernel_size": (3, 4)},
        {"strides": 0},
        {"strides": (1, -1)},
        {"dilation_rate": 0},
        {"padding": "full"},
        {"padding": None},
        {"normalization": "sum"},
        {"mask_update": "grow"},
    ],
)
def test_arguments_outside_their_choices_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        PartialConv2D(**{"filters": 2, "kernel_size": 3, **arguments})


def test_an_even_kernel_is_taken_without_padding():
    assert PartialConv2D(1, 2, padding="valid").kernel_size == (2, 2)


def test_an_unknown_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="Received: "):
        PartialConv2D(1, 3).build([(None, None, None, None), (None, None, None, 1)])


@pytest.mark.parametrize(
    "arguments", [{"filters": 3, "groups": 2}, {"groups": 0}, {"groups": 1.5}, {"groups": "2"}]
)
def test_groups_that_do_not_divide_the_filters_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: "):
        PartialConv2D(**{"filters": 4, "kernel_size": 3, **arguments})


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match=r"must divide 3 channels\. Received: 2"):
        PartialConv2D(4, 3, groups=2).build([(None, None, None, 3), (None, None, None, 1)])


@pytest.mark.parametrize("groups", [2, 4])
def test_where_all_is_valid_groups_are_those_of_keras(groups):
    x, _ = draw(11, channels=4)
    layer = make_layer(4, 8, 3, padding="valid", groups=groups)
    plain = keras.layers.Conv2D(8, 3, groups=groups)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    assert_close(layer([x, np.ones((*x.shape[:3], 1), bool)])[0], plain(x))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_an_image_of_few_channels_gives_the_same_alone_and_in_a_batch(channels, groups):
    # TensorFlow's own convolution of a single channel does not.
    x, mask = draw(12, n=4, channels=channels * groups)
    layer = make_layer(channels * groups, 4, 3, groups=groups)
    call = freeze(
        lambda x, mask: layer([x, mask]),
        tf.TensorSpec((None, None, None, channels * groups), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
    )
    together, _ = call(x, mask)
    for index in range(4):
        alone, _ = call(x[index : index + 1], mask[index : index + 1])
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_an_extent_of_the_whole_image_is_no_limit(padding, strides):
    x, mask = draw(13)
    layer = make_layer(3, 2, 3, strides=strides, padding=padding, mask_update="any")
    extent = np.ones_like(mask)
    for one, other in zip(layer([x, mask]), layer([x, mask, extent]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_outside_the_extent_nothing_becomes_valid():
    x, mask = draw(14)
    extent = np.zeros_like(mask)
    extent[:, :5, :7] = True
    _, updated = make_layer(3, 2, 3, mask_update="any")([x, mask & extent, extent])
    assert not np.any(updated[:, 5:])
    assert not np.any(updated[:, :, 7:])


@pytest.mark.parametrize("mask_update", ["keep", "all"])
def test_an_extent_is_refused_where_masks_do_not_grow(mask_update):
    x, mask = draw(15)
    with pytest.raises(ValueError, match=r"must be \[x, mask\]. Received: 3 tensors"):
        PartialConv2D(1, 3, mask_update=mask_update)([x, mask, mask])


def test_an_extent_of_another_size_is_refused():
    x, mask = draw(16)
    with pytest.raises(ValueError, match="`extent` must have the features' N, H and W"):
        PartialConv2D(1, 3, mask_update="any")([x, mask, mask[:, 1:]])
