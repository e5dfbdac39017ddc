"""Converted networks: the original's answers where all is valid, and the promise everywhere."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.convert import ConversionError, convert, fold
from model.convert.report import compare
from tests.support import plain_networks as networks
from tests.support.freezing import freeze

NETWORKS = {
    "unet": networks.unet,
    "mobilenet": networks.mobilenet,
    "deeplab": lambda: networks.deeplab(pools_image=False),
    "segnet": networks.segnet,
}


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request):
    network = NETWORKS[request.param]()
    return network, convert(network)


def run(network, image, mask):
    return np.asarray(network([image, mask], training=False))


def as_exported(network):
    """Compile a network as an export has it, and give what runs it as in `run`."""
    return freeze(
        lambda image, mask: network([image, mask], training=False),
        tf.TensorSpec((None, None, None, 3), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
    )


def draw_incomplete(height=45, width=61):
    mask = np.random.default_rng(1).random((1, height, width, 1)) < 0.8
    mask[:, 20:40, 10:20] = False
    return np.where(mask, networks.draw_image(height, width), np.float32(np.nan)), mask


def test_far_from_the_border_scores_of_complete_images_are_the_originals(pair):
    network, conversion = pair
    radius, stride = conversion.receptive_radius, conversion.total_stride
    side = -(-(2 * radius + 16) // stride) * stride
    image = networks.draw_image(side, side)
    expected = keras.ops.image.resize(network(image, training=False), (side, side), "bilinear")
    found = run(conversion.network, image, np.ones((1, side, side, 1), bool))

    inner = np.s_[0, radius:-radius, radius:-radius]
    assert np.asarray(expected)[inner].std() > 1e-2
    np.testing.assert_allclose(found[inner], np.asarray(expected)[inner], atol=1e-5)


def test_no_bit_depends_on_the_canvas_the_batch_or_the_values_of_missing_pixels(pair):
    _, conversion = pair
    image, mask = draw_incomplete()
    height, width = mask.shape[1:3]
    exported = as_exported(conversion.network)
    expected = exported(image, mask).numpy()
    assert np.isfinite(expected).all()
    assert not expected[~np.broadcast_to(mask, expected.shape)].any()
    for rows, columns in ((48, 64), (77, 80)):
        images = np.full((2, rows, columns, 3), 1e30, np.float32)
        masks = np.zeros((2, rows, columns, 1), bool)
        images[0, :height, :width], masks[0, :height, :width] = image[0], mask[0]
        images[1], masks[1] = networks.draw_image(rows, columns, seed=3)[0], True
        found = exported(images, masks)

        np.testing.assert_array_equal(found[0, :height, :width], expected[0])


def test_the_folded_network_is_the_same_function_without_normalisation_and_keeps_the_promise(pair):
    _, conversion = pair
    image, mask = draw_incomplete()
    folded = fold(conversion.network)

    expected = run(conversion.network, image, mask)
    found = run(folded, image, mask)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    sides = ((0, 0), (0, 35), (0, 3), (0, 0))
    exported = as_exported(folded)
    padded = exported(np.pad(image, sides, constant_values=np.inf), np.pad(mask, sides))
    np.testing.assert_array_equal(padded[:, :45, :61], exported(image, mask))
    assert not any(type(layer).__name__ == "MaskedBatchNormalization" for layer in folded.layers)


def test_an_image_without_valid_pixels_has_scores_of_zero(pair):
    _, conversion = pair
    mask = np.zeros((1, 19, 22, 1), bool)

    assert not run(conversion.network, np.full((1, 19, 22, 3), np.inf, np.float32), mask).any()


def test_the_report_finds_labels_that_change_with_the_canvas_before_and_none_after(capsys):
    network = networks.unet()
    rows = compare(network, convert(network), [networks.draw_image(61, 82)[0]])
    shares = {row.case: row for row in rows}

    assert shares["in another canvas"].before > 0
    assert shares["in another canvas"].after == 0
    assert shares["elsewhere"].after == 0
    assert shares["near borders"].pixels + shares["elsewhere"].pixels == 60 * 80
    assert shares["60% missing"].after > 0
    with capsys.disabled():
        line = (
            f"labels that change with the canvas: {shares['in another canvas'].before:.1%}, then 0"
        )
        sys.stdout.write(f"\n{line}\n")


def test_a_converted_network_is_the_same_after_saving_and_loading(tmp_path):
    image, mask = draw_incomplete()
    network = convert(networks.segnet()).network
    network.save(tmp_path / "masked.keras")

    loaded = keras.models.load_model(tmp_path / "masked.keras", compile=False)
    np.testing.assert_array_equal(run(loaded, image, mask), run(network, image, mask))


def test_image_pooling_is_taken_over_valid_pixels_where_it_is_allowed():
    """Missing pixels change nothing, to rounding: the mean is a sum over the canvas."""
    conversion = convert(networks.deeplab(), allow=["GlobalAveragePooling2D"])
    image, mask = draw_incomplete()
    sides = ((0, 0), (0, 35), (0, 3), (0, 0))
    padded = run(conversion.network, np.pad(image, sides), np.pad(mask, sides))

    expected = run(conversion.network, image, mask)
    np.testing.assert_allclose(padded[:, :45, :61], expected, atol=1e-5)
    assert conversion.receptive_radius is None
    assert conversion.notes == (
        "image_pooling (GlobalAveragePooling2D): statistics over valid pixels",
    )


def shared_layers():
    """Make a network whose layers are called several times, at other strides and phases."""
    image = keras.Input((None, None, 3), name="image")
    convolve = layers.Conv2D(3, 3, padding="same", activation="relu", name="mask")
    pool, repeat = layers.MaxPooling2D(), layers.UpSampling2D()
    inner = keras.Input((None, None, 3))
    block = keras.Model(inner, repeat(layers.Conv2D(3, 3, 2, "same", activation="tanh")(inner)))
    x = layers.RandomContrast(0.2)(image)
    fine = block(convolve(convolve(x)))
    coarse = block(convolve(pool(convolve(pool(fine)))))
    x = keras.ops.concatenate([fine, repeat(repeat(coarse))], axis=-1)
    x = layers.Conv2D(2, 1, name="mask_2")(x)
    return networks.vary(keras.Model(image, x))


def test_layers_may_be_shared_and_have_names_that_a_converted_network_uses_itself():
    network = shared_layers()
    conversion = convert(network)
    stride, radius = conversion.total_stride, conversion.receptive_radius
    side = (3 + 2 * radius // stride) * stride
    image = networks.draw_image(side, side) / 255
    scores = conversion.network([image, np.ones((1, side, side, 1), bool)])
    inner = slice(radius, -radius)
    expected = network(image, training=False)

    np.testing.assert_allclose(
        scores[:, inner, inner], expected[:, inner, inner], rtol=1e-4, atol=1e-5
    )
    assert fold(conversion.network).output_shape == (None, None, None, 2)


@pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])
@pytest.mark.parametrize("size", [5, 7, 9])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_pooling_may_have_windows_of_any_size(kind, size, stride):
    network = make(kind(size, stride, "same"), layers.UpSampling2D(stride))
    conversion = convert(network)
    folded, radius = fold(conversion.network), conversion.receptive_radius
    image, complete = networks.draw_image(48, 48), np.ones((1, 48, 48, 1), bool)
    inner = np.s_[:, radius:-radius, radius:-radius]
    expected = network(image, training=False)
    np.testing.assert_allclose(run(folded, image, complete)[inner], expected[inner], rtol=1e-5)

    image, mask = draw_incomplete()
    sides = ((0, 0), (0, 35), (0, 3), (0, 0))
    padded = run(folded, np.pad(image, sides, constant_values=np.inf), np.pad(mask, sides))
    np.testing.assert_array_equal(padded[:, :45, :61], run(folded, image, mask))


def refuse(network, **options):
    with pytest.raises(ConversionError) as error:
        convert(network, **options)
    return str(error.value)


def test_every_layer_that_cannot_be_converted_is_named_with_its_reason():
    image = keras.Input((64, 64, 3))
    pooled = layers.GlobalAveragePooling2D(name="squeeze", keepdims=True)(image)
    x = layers.Multiply()([image, pooled])
    x = layers.Resizing(64, 64, name="resize")(x)
    x = layers.Lambda(lambda values: values, name="code")(x)
    x = layers.Conv2D(2, 3, strides=(1, 2), padding="same", name="anisotropic")(x)
    message = refuse(keras.Model(image, x))

    assert "squeeze (GlobalAveragePooling2D): it takes statistics over the whole image" in message
    assert "resize (Resizing): it changes maps to fixed sizes" in message
    assert "code (Lambda): it runs code" in message
    assert "has 3 without" in message


def make(layer, *more, sides=(None, None)):
    image = keras.Input((*sides, 3))
    x = layer(image)
    for following in more:
        x = following(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: make(layers.Conv2D(2, 3, strides=(1, 2))), "its strides differ: 1 and 2"),
        (lambda: make(layers.Conv2DTranspose(2, 1, 2), layers.MaxPooling2D()), "smaller than its"),
        (lambda: make(layers.UpSampling2D(2)), "makes a map finer than its source: by 2"),
        (
            lambda: make(layers.MaxPooling2D(), layers.UpSampling2D(2, interpolation="bicubic")),
            "its interpolation is bicubic",
        ),
        (lambda: make(layers.Softmax(axis=1)), "it normalises over pixels"),
        (
            lambda: make(layers.LayerNormalization(axis=[1, 2]), sides=(8, 8)),
            "takes statistics over pixels",
        ),
        (
            lambda: make(
                layers.Normalization((1, 2, 3), np.zeros((8, 8, 3)), np.ones((8, 8, 3))),
                sides=(8, 8),
            ),
            "(Normalization): All `axis` values to be kept must have a known shape",
        ),
    ],
)
def test_an_option_that_has_no_masked_form_is_the_reason(network, reason):
    assert reason in refuse(network())


def test_maps_that_are_shifted_against_each_other_are_refused():
    image = keras.Input((None, None, 3))
    shifted = layers.Cropping2D(((2, 0), (0, 2)))(image)
    merged = layers.Add()([shifted, layers.Cropping2D(((0, 2), (2, 0)))(image)])

    assert "shifted against each other" in refuse(keras.Model(image, merged))


def test_a_network_that_is_no_graph_of_one_image_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    two = [keras.Input((None, None, 3)) for _ in range(2)]
    assert "functional or sequential" in refuse(Own())
    assert "must be functional or sequential, and take one image" in refuse(
        keras.Model(two, layers.Add()(two))
    )
    assert "it is one for the whole image" in refuse(
        make(layers.GlobalMaxPooling2D(name="all")), allow=["all"]
    )


def test_what_is_allowed_must_be_a_layer_that_needs_it():
    assert "dropout is none" in refuse(networks.unet(), allow=["dropout"])
