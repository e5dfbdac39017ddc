"""Adopted networks against the networks themselves: filled, scaled and masked in NumPy."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from scipy.special import expit, softmax

from lacuna.sample import Sample
from model.adopt.adopting import SourceOptions, adopt, read_source
from model.adopt.keras_files import describe_network
from model.adopt.options import AdoptionOptions
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.served import ServedModel
from service.local.loading import load_model
from service.runtime.contract.checking import check_contract
from service.runtime.manifest import UNLIMITED_RADIUS
from tests.support import foreign

SIZES = [(1, 1), (37, 30)]


def adopt_file(path, output, classes=("a", "b", "c"), told=None, **options):
    """Adopt a file, and load the result as the server does."""
    about = SourceOptions(**(told or {}))
    options = AdoptionOptions(**{"name": "m", "classes": classes, "value_range": (0, 1), **options})
    adoption = adopt(read_source(path, about), about, options)
    adoption.save(output)
    return load_model(output), adoption


def adopt_network(network, folder, **options):
    network.save(folder / "given.keras")
    return adopt_file(folder / "given.keras", folder / "m" / "1", **options)


def draw(height, width, channels=3):
    rng = np.random.default_rng(height)
    image = rng.integers(0, 256, (2, height, width, channels)).astype(np.float32)
    mask = rng.random((2, height, width)) < 0.7
    image[~mask] = np.nan
    return image, mask


def pad(filled, multiple, value=0):
    rows, columns = (-side % multiple for side in filled.shape[1:3])
    return np.pad(filled, ((0, 0), (0, rows), (0, columns), (0, 0)), constant_values=value)


def choose_best(found):
    return found.argmax(axis=-1)


def check_against(runtime, sizes, compute, choose=choose_best):
    """Compare a runtime with functions from images to probabilities, and from these to labels."""
    for height, width in sizes:
        image, mask = draw(height, width)
        expected = compute(image, mask)[:, :height, :width]
        labels, found = runtime.run(image, mask, probabilities=True)

        np.testing.assert_allclose(found[mask], expected[mask], atol=2e-5)
        assert not found[~mask].any()
        assert (labels[~mask] == 255).all()
        np.testing.assert_array_equal(labels[mask], choose(found)[mask])
        alone, none = runtime.run(image, mask, probabilities=False)
        np.testing.assert_array_equal(alone, labels)
        assert none is None


def fill(image, mask, value=0.0):
    return np.where(mask[..., None], image, np.float32(value))


def test_a_unet_gives_its_own_answers_at_odd_sizes(tmp_path):
    network = foreign.plain_unet()
    runtime, _ = adopt_network(network, tmp_path, value_range=(-1, 1), mean=(0.5,), deviation=(2,))

    def compute(image, mask):
        filled = pad(fill(image, mask), 4)
        return softmax(np.asarray(network((filled / 127.5 - 1 - 0.5) / 2)), axis=-1)

    check_against(runtime, SIZES, compute)
    assert runtime.manifest.total_stride == 4
    assert runtime.manifest.receptive_radius == 8


def test_scores_at_half_the_resolution_are_upsampled_as_asked(tmp_path):
    network = foreign.mobile_encoder_decoder()
    runtime, adoption = adopt_network(
        network, tmp_path, value_range=None, fill="constant", constant=90, upsampling="nearest"
    )

    def compute(image, mask):
        filled = pad(fill(image, mask, 90), 4, 90)
        return np.asarray(network(filled)).repeat(2, axis=1).repeat(2, axis=2)

    check_against(runtime, SIZES, compute)
    assert (adoption.plan.factor, adoption.plan.meaning) == (2, "softmax")
    assert adoption.source.scales_itself


def test_a_network_whose_layers_are_replaced_outlives_garbage_collections():
    image = keras.Input((None, None, 3))
    scores = keras.layers.UpSampling2D(2, interpolation="bilinear")(
        keras.layers.Conv2D(2, 3, strides=2, padding="same")(image)
    )
    ended = threading.Event()

    def collect():
        while not ended.is_set():
            gc.collect()

    with ThreadPoolExecutor(1) as pool:
        gc.freeze()  # the rest of the process is not searched each time
        collecting = pool.submit(collect)
        try:
            source = describe_network(keras.Model(image, scores))
        finally:
            ended.set()
            gc.unfreeze()
        collecting.result()

    assert source.run(np.zeros((1, 16, 24, 3), np.float32)).shape == (1, 16, 24, 2)


def test_one_sigmoid_becomes_two_classes_by_a_threshold(tmp_path):
    network, classes = foreign.segnet(), ("other", "road")
    runtime, _ = adopt_network(network, tmp_path, classes=classes, fill="mean", threshold=0.55)

    def compute(image, mask):
        count = np.maximum(mask.sum(axis=(1, 2)), 1)[:, None]
        means = (fill(image, mask).sum(axis=(1, 2)) / count)[:, None, None]
        filled = np.where(mask[..., None], image, means)
        rows, columns = (-side % 4 for side in mask.shape[1:])
        filled = np.concatenate([filled, means.repeat(filled.shape[2], 2).repeat(rows, 1)], axis=1)
        more = means.repeat(filled.shape[1], 1).repeat(columns, 2)
        second = np.asarray(network(np.concatenate([filled, more], axis=2) / 255))
        return np.concatenate([1 - second, second], axis=-1)

    check_against(runtime, SIZES, compute, lambda found: found[..., 1] >= np.float32(0.55))
    assert runtime.manifest.receptive_radius == UNLIMITED_RADIUS


def test_missing_pixels_are_filled_from_the_smallest_cell_that_has_valid_ones(tmp_path):
    network = foreign.pixelwise()
    runtime, _ = adopt_network(network, tmp_path, fill="nearest")
    image, mask = np.full((1, 5, 8, 3), np.nan, np.float32), np.zeros((1, 5, 8), bool)
    image[0, 0, 0], mask[0, 0, 0] = 200, True
    labels, found = runtime.run(image, mask, probabilities=True)

    expected = softmax(np.asarray(network(np.full((1, 1, 1, 3), 200 / 255))), axis=-1)
    np.testing.assert_allclose(found[0, 0, 0], expected[0, 0, 0], atol=1e-6)
    assert (labels[~mask] == 255).all()


def test_a_classifier_of_pixels_keeps_the_promise_as_it_is(tmp_path):
    classes = ("soil=#a6761d", "crop", "water")
    runtime, _ = adopt_network(foreign.pixelwise(), tmp_path, classes=classes)
    manifest = runtime.manifest

    assert check_contract(runtime).holds
    assert manifest.classes[0].model_dump() == {"id": 0, "name": "soil", "color": "#a6761d"}
    assert (manifest.training["adopted_from"], manifest.training["fill"]) == ("Keras", "zero")
    assert "saved_model.pb" in manifest.checksums


def segment(runtime, sample, window_pixels):
    model = ServedModel("m", "1", runtime, check_contract(runtime))

    async def run():
        segmenter = Segmenter(EnginePolicy(window_pixels=window_pixels))
        try:
            return await segmenter.segment(model, sample)
        finally:
            segmenter.close()

    return model.contract, asyncio.run(run()).segmentation.labels


def draw_sample(height, width):
    image, mask = draw(height, width)
    return Sample(np.where(mask[..., None], image, 0)[0].astype(np.uint8), mask[0])


@pytest.mark.parametrize("fills", ["zero", pytest.param("nearest", marks=pytest.mark.slow)])
def test_large_images_of_a_unet_are_cut_and_no_label_changes(tmp_path, fills):
    runtime, _ = adopt_network(foreign.plain_unet(), tmp_path, fill=fills)
    sample = draw_sample(333, 270)
    contract, labels = segment(runtime, sample, 260**2 if fills == "zero" else 330**2 // 4 * 3)
    whole = runtime.run(
        sample.image[None].astype(np.float32), sample.mask[None], probabilities=False
    )

    assert contract.failed == ("canvas",)
    assert contract.seams.shift <= 1e-5
    np.testing.assert_array_equal(labels, whole.labels[0])


def test_what_depends_on_the_whole_image_is_never_cut(tmp_path):
    runtime, _ = adopt_network(foreign.image_pooling(), tmp_path)
    contract = check_contract(runtime)

    assert runtime.manifest.receptive_radius == UNLIMITED_RADIUS
    assert contract.seams is None
    assert contract.failed == ("canvas", "receptive radius")


def test_a_network_of_one_size_is_served_by_tiles_of_this_size(tmp_path):
    network = foreign.plain_unet(activation="softmax", size=48)
    runtime, _ = adopt_network(network, tmp_path)
    sample = draw_sample(100, 30)
    contract, labels = segment(runtime, sample, 10**6)

    assert runtime.manifest.tiles.model_dump() == {"height": 48, "width": 48, "overlap": 12}
    assert contract.seams.differing < contract.seams.pixels // 50
    padded = np.pad(np.where(sample.mask[..., None], sample.image, 0), ((0, 0), (0, 18), (0, 0)))
    # Seams are in the middle of overlaps, and the last tile ends at the image's end.
    for first, kept in ((0, slice(0, 42)), (36, slice(42, 68)), (52, slice(68, 100))):
        scores = np.asarray(network(padded[None, first : first + 48] / np.float32(255)))[0]
        own = scores.argmax(axis=-1)[kept.start - first : kept.stop - first, :30]
        valid = sample.mask[kept]
        np.testing.assert_array_equal(labels[kept][valid], own[valid])


@pytest.mark.parametrize("style", ["keras", "hub"])
def test_a_saved_model_is_adopted_by_its_signature(tmp_path, style):
    network = foreign.plain_unet(activation="softmax")
    if style == "keras":
        network.export(tmp_path / "saved", verbose=False)
        told = {}
    else:
        write_hub_model(network, tmp_path / "saved")
        told = {"scores": "segmentation"}
    runtime, adoption = adopt_file(tmp_path / "saved", tmp_path / "m" / "1", told=told)

    def compute(image, mask):
        return np.asarray(network(pad(fill(image, mask), 4) / 255))

    check_against(runtime, SIZES, compute)
    assert adoption.source.kind == "SavedModel"


def write_hub_model(network, folder):
    """Write a SavedModel whose signature `default` has several outputs, in an older manner."""
    import tensorflow as tf  # noqa: PLC0415

    module = tf.Module()
    module.network = network
    spec = tf.TensorSpec((None, None, None, 3), tf.float32, name="images")

    @tf.function(input_signature=[spec])
    def default(images):
        scores = network(images, training=False)
        return {"segmentation": scores, "embedding": tf.reduce_mean(images, axis=[1, 2])}

    tf.saved_model.save(module, str(folder), signatures={"default": default})


@pytest.mark.parametrize(
    "fills",
    [
        pytest.param("zero", marks=pytest.mark.slow),
        pytest.param("mean", marks=pytest.mark.slow),
        "nearest",
        "constant",
    ],
)
def test_an_onnx_network_is_wrapped_as_a_keras_network_is(tmp_path, fills):
    """The two graphs around a network are written apart, and must agree."""
    options = {"fill": fills, "constant": 77.0}
    foreign.write_torch_unet(tmp_path / "given.onnx")
    found, adoption = adopt_file(tmp_path / "given.onnx", tmp_path / "onnx" / "1", **options)
    twin, _ = adopt_network(keras_twin(tmp_path / "given.onnx"), tmp_path, **options)

    for height, width in SIZES:
        image, mask = draw(height, width)
        one = found.run(image, mask, probabilities=True)
        other = twin.run(image, mask, probabilities=True)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert adoption.plan.layout.image_first
    assert found.manifest.total_stride == twin.manifest.total_stride


def keras_twin(path):
    """Build the network of `write_torch_unet` in Keras, with its weights."""
    weights = {
        entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer
    }
    layers = keras.layers

    def convolve(name, kernel=3, strides=1, activation="relu"):
        layer = layers.Conv2D(
            len(weights[name]),
            kernel,
            strides,
            "valid",
            activation=activation,
            name=name.replace(".", "_"),
        )
        return lambda x: layer(layers.ZeroPadding2D(kernel // 2)(x))

    image = keras.Input((None, None, 3))
    first = convolve("encoder.0")(image)
    half = convolve("encoder.1", strides=2)(first)
    up = layers.Conv2DTranspose(6, 2, 2, use_bias=False, name="up")(half)
    head = convolve("head", activation=None)
    network = keras.Model(image, head(layers.Concatenate()([up, first])))
    for name in ("encoder.0", "encoder.1", "head"):
        kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
        network.get_layer(name.replace(".", "_")).set_weights([kernel, weights[name]])
    network.get_layer("up").set_weights([weights["up.weight"].transpose(2, 3, 1, 0)])
    return network


@pytest.mark.parametrize(("size", "batch", "opset"), [((32, 32), 1, 17), (None, "n", 11)])
def test_an_onnx_network_of_one_size_and_one_image_or_an_old_opset_is_adopted(
    tmp_path, size, batch, opset
):
    path = tmp_path / "given.onnx"
    foreign.write_torch_unet(path, classes=1, size=size, batch=batch, opset=opset)
    runtime, _ = adopt_file(path, tmp_path / "m" / "1", classes=("other", "road"))
    reference = ReferenceEvaluator(onnx.load(path))
    image, mask = draw(32, 32)

    labels, found = runtime.run(image, mask, probabilities=True)
    for index in range(2):
        given = fill(image, mask)[index : index + 1].transpose(0, 3, 1, 2) / np.float32(255)
        second = expit(reference.run(None, {"input": given})[0][0, 0])
        np.testing.assert_allclose(
            found[index, ..., 1][mask[index]], second[mask[index]], atol=1e-5
        )
    np.testing.assert_array_equal(labels[mask], found[..., 1][mask] >= 0.5)
    assert (runtime.manifest.tiles is None) == (size is None)


@pytest.mark.parametrize("opset", [11, 17])
def test_standard_operators_may_be_called_by_the_other_name_of_their_domain(tmp_path, opset):
    sources = []
    for domain in ("", "ai.onnx"):
        path = tmp_path / f"unet{domain}.onnx"
        foreign.write_torch_unet(path, opset=opset, domain=domain)
        sources.append(read_source(path, SourceOptions()))
    image = np.random.default_rng(0).random((1, 3, 16, 12), np.float32)

    assert sources[1].graph == sources[0].graph
    np.testing.assert_array_equal(sources[1].run(image), sources[0].run(image))
