import keras
import numpy as np
import onnx.reference
import pytest
from scipy.special import softmax

from model.export import export_network
from model.folding import fold_batch_norm
from model.network import NetworkConfig
from model.onnx_export.graph import GraphWriter, Tensor
from model.onnx_export.layers import write_layer
from model.onnx_export.segmenter import build_onnx
from service.runtime.contract.checking import check_contract
from service.runtime.onnx import OnnxRuntime
from tests.support.networks import make_batch, manifest_of, random_network
from tests.support.strategies import make_scene

CONFIGS = [
    NetworkConfig(widths=(4, 6)),
    # Numbers of channels that matrices would be multiplied for, in an order that depends on sizes.
    NetworkConfig(widths=(16, 32), convs_per_level=1),
    NetworkConfig(widths=(16, 32), block="separable", normalization="mean"),
    NetworkConfig(widths=(9, 18, 30), block="residual"),
    NetworkConfig(widths=(9, 18, 30), convs_per_level=1, fill_levels=2),
    NetworkConfig(widths=(8,), channels=16, normalization="none"),
    NetworkConfig(widths=(7, 11), normalization="variance"),
]


def fold(config):
    return fold_batch_norm(random_network(config), config)


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def served(request, tmp_path_factory):
    """A network with random weights, and its export."""
    config, network = request.param, random_network(request.param)
    folder = tmp_path_factory.mktemp("repository") / "random" / "1"
    export_network(network, config, manifest_of(config), folder, "onnx")
    return network, OnnxRuntime(folder)


def test_the_export_computes_what_the_trained_network_does(served):
    network, runtime = served
    images, masks = make_batch(37, 53, runtime.manifest.image.channels)

    labels, probabilities = runtime.run(images, masks[..., 0], probabilities=True)

    logits = network([images, masks], training=False).numpy()
    expected = np.where(masks, softmax(logits.astype(np.float64), axis=-1), 0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    first, second = np.sort(expected, axis=-1)[..., [-1, -2]].transpose(3, 0, 1, 2)
    is_clear = first - second > 2e-4
    assert is_clear[masks[..., 0]].mean() > 0.99
    best = np.where(masks[..., 0], expected.argmax(axis=-1), 255)
    np.testing.assert_array_equal(labels[is_clear], best[is_clear])
    np.testing.assert_array_equal(labels == 255, ~masks[..., 0])


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (37, 53), (96, 80)])
def test_no_canvas_and_no_batch_mate_changes_a_bit(served, size):
    runtime = served[1]
    scene = make_scene(*size, 0.7, seed=3, channels=runtime.manifest.image.channels)
    alone = runtime.run(scene.image[None], scene.mask[None], probabilities=True)
    for bottom, right, mates in ((1, 0, 0), (16, 40, 1), (5, 130, 7)):
        mate = make_scene(size[0] + bottom, size[1] + right, 0.6, 4, scene.image.shape[-1])
        images = np.repeat(mate.image[None], mates + 1, axis=0)
        masks = np.repeat(mate.mask[None], mates + 1, axis=0)
        images[0], masks[0] = np.nan, False
        here = (0, slice(size[0]), slice(size[1]))
        images[here], masks[here] = scene.image, scene.mask

        together = runtime.run(images, masks, probabilities=True)

        np.testing.assert_array_equal(together.labels[here], alone.labels[0])
        np.testing.assert_array_equal(together.probabilities[here], alone.probabilities[0])


def test_the_contract_check_finds_the_promise_kept(served):
    assert check_contract(served[1]).failed == ()


def test_the_file_has_fixed_inputs_and_outputs_and_says_who_wrote_it(tmp_path):
    config = NetworkConfig(widths=(4,), channels=2, classes=5)
    model = build_onnx(fold(config))

    assert (model.producer_name, model.opset_import[0].version) == ("lacuna", 18)
    shapes = {
        tensor.name: [
            side.dim_param or side.dim_value for side in tensor.type.tensor_type.shape.dim
        ]
        for tensor in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "image": ["N", "H", "W", 2],
        "mask": ["N", "H", "W", 1],
        "labels": ["N", "H", "W"],
        "probabilities": ["N", "H", "W", 5],
    }
    assert {node.domain for node in model.graph.node} == {""}


def test_the_same_network_gives_the_same_bytes():
    network = fold(NetworkConfig(widths=(4,)))
    first, second = build_onnx(network), build_onnx(network)

    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


def test_equal_constants_stand_in_the_file_once():
    graph = GraphWriter()

    assert graph.add_constant([1, 2]) == graph.add_constant(np.array([1.0, 2.0]))
    assert graph.add_constant([1, 2]) != graph.add_constant([1, 2], np.int64)
    assert graph.add_constant(1) != graph.add_constant([1])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.GlobalAveragePooling2D(name="whole"), "GlobalAveragePooling2D 'whole'"),
        (keras.layers.Conv2D(3, 3, activation="relu", name="both"), "'both', which applies relu"),
        (keras.layers.ReLU(6, name="capped"), "a plain one .* 'capped'"),
    ],
)
def test_a_layer_that_cannot_be_written_is_named(layer, message):
    layer.build((None, 8, 8, 3))

    with pytest.raises(ValueError, match=message):
        write_layer(GraphWriter(), layer, ["x"])


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=3),
        keras.layers.Conv2D(4, (3, 5), dilation_rate=2, padding="valid", use_bias=False),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        keras.layers.MaxPooling2D(3, strides=2, padding="same"),
    ],
)
def test_a_layer_of_keras_is_written_with_all_its_arguments(layer):
    values = np.random.default_rng(0).normal(size=(2, 11, 14, 3)).astype(np.float32)
    expected = layer(values).numpy()
    graph = GraphWriter()
    written = write_layer(graph, layer, ["x"])
    graph.add("Identity", written, output="y")
    sides = ("N", expected.shape[-1], "rows", "columns")
    model = graph.build(
        [Tensor("x", np.float32, ("N", 3, "H", "W"))], [Tensor("y", np.float32, sides)]
    )

    (actual,) = onnx.reference.ReferenceEvaluator(model).run(
        None, {"x": values.transpose(0, 3, 1, 2)}
    )

    np.testing.assert_allclose(actual.transpose(0, 2, 3, 1), expected, atol=1e-5)
