"""`lacuna-model adopt`: what it says, and everything that it refuses."""

import re
import shutil

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from click.testing import CliRunner
from keras import layers
from onnx import TensorProto, helper
from PIL import Image

from lacuna.cli import main as lacuna
from model.adopt.adopting import SourceOptions, read_source
from model.cli import main
from service.runtime.manifest import read_manifest
from tests.support import foreign

CLASSES = ("--class", "a", "--class", "b", "--class", "c")


@pytest.fixture(scope="module")
def pixelwise(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "pixelwise.keras"
    foreign.pixelwise().save(path)
    return path


@pytest.fixture
def output(tmp_path):
    return tmp_path / "models" / "soil" / "1"


def run(source, output, *options):
    arguments = ["adopt", str(source), "-o", str(output), *map(str, options)]
    return CliRunner().invoke(main, arguments)


def test_what_was_found_is_said_and_how_it_will_be_served(pixelwise, output, tmp_path):
    """Some options stand in a file; those that are typed win."""
    (tmp_path / "adopt.toml").write_text(
        'class = ["soil=#a6761d", "crop", "water"]\nrange = [0, 1]\nname = "fields"\n'
        'fill-value = 7\nfill = "constant"\ndescription = "By pixel."\n'
    )
    result = run(pixelwise, output, "--config", tmp_path / "adopt.toml", "--name", "plots")

    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "3 channels, channels last, any size" in said
    assert "missing pixels set to 7" in said
    assert "total stride 1; a pixel's scores depend on 0 pixels around it" in said
    assert "May be padded, batched and tiled: no answer changes." in said
    manifest = read_manifest(output)
    assert (manifest.name, manifest.description) == ("plots", "By pixel.")
    assert [entry.name for entry in manifest.classes] == ["soil", "crop", "water"]
    assert manifest.training["fill"] == "constant"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = []", "its keys must be names of options; classes is none"),
        ("class = [", "the file must be TOML"),
        ('dtype = "int4"', "'int4' is not one of"),
        ("range = 1", "range must be a list of texts or numbers; it is 1"),
        ("[class]\na = 1", "class must be a list of texts or numbers; it is {'a': 1}"),
        ("class = [['a']]", "class must be a list of texts or numbers; it is [['a']]"),
        ("threshold = [1]", "threshold must be a text, a number, true or false; it is [1]"),
        ("fill-value = 2026-01-02", "fill-value must be a text, a number, true or false; it is"),
    ],
)
def test_a_wrong_file_of_options_is_refused(pixelwise, output, tmp_path, text, message):
    (tmp_path / "adopt.toml").write_text(text)
    result = run(pixelwise, output, "--config", tmp_path / "adopt.toml")

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CLASSES, "--range LOW HIGH must tell the values that the network takes for 0 and 255"),
        (("--range", 0, 1), "--class must be given once for each of the network's 3 classes"),
        ((*CLASSES[:4], "--range", 0, 1), "of at most 255; it is given 2 times"),
        ((*CLASSES[:4], "--class", "a", "--range", 0, 1), "must have different names; a is"),
        ((*CLASSES[:4], "--class", "c=red", "--range", 0, 1), "must be NAME or NAME=#rrggbb"),
        ((*CLASSES, "--range", 0, 1, "--mean", 1, "--mean", 2), "--mean must be one number, or"),
        ((*CLASSES, "--range", 0, 1, "--deviation", 0), "--deviation must be above 0"),
        ((*CLASSES, "--range", 0, 1, "--overlap", 8), "--overlap is for inputs of a fixed size"),
        ((*CLASSES, "--range", 0, 1, "--scores", "x"), "the output x must be one of the network's"),
        ((*CLASSES, "--range", 0, 1, "--activation", "softmax"), "must sum to 1; they lie in"),
        ((*CLASSES, "--range", 0, 1, "--layout", "channels-first"), "the number of channels must"),
    ],
)
def test_what_must_be_told_and_what_was_told_wrongly_is_said_in_one_line(
    pixelwise, output, options, message
):
    check_refusal(run(pixelwise, output, *options), output, message)


def check_refusal(result, output, message):
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert len([line for line in result.stderr.splitlines() if line.strip()]) == 1
    assert not output.exists()
    assert not output.parent.exists() or not any(output.parent.iterdir())


def test_an_output_that_would_replace_the_network_or_other_files_is_refused(pixelwise, tmp_path):
    given, photos = tmp_path / "1" / "given.keras", tmp_path / "2024"
    (given.parent / "assets.extra").mkdir(parents=True)
    (given.parent / "assets.extra" / "manifest.json").touch()
    shutil.copy(pixelwise, given)
    photos.mkdir()
    (photos / "portrait.jpg").touch()

    for output, message in (
        (given.parent, "must be another folder than the network's, which it would replace"),
        (photos, "must be empty, or a version of a model that may be replaced"),
    ):
        result = run(given, output)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())
    assert given.exists()
    assert [path.name for path in photos.iterdir()] == ["portrait.jpg"]


@pytest.mark.parametrize("name", ["1x", "latest", "²", "007"])
def test_a_folder_that_is_no_version_is_refused(pixelwise, output, name):
    result = run(pixelwise, output.with_name(name), *CLASSES, "--range", 0, 1)

    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert f"a version, which is a number without leading zeros; it ends in {name}" in said


def test_a_name_that_no_server_takes_is_refused(pixelwise, output):
    result = run(pixelwise, output, *CLASSES, "--range", 0, 1, "--name", "a b")

    assert result.exit_code == 2
    assert "the name must be 1 to 100 letters, digits" in result.stderr


def save(network, path):
    network.save(path)
    return path


def make_junk(folder):
    path = folder / "junk.keras"
    path.write_bytes(b"junk")
    return path


def make_weights(folder):
    network = foreign.pixelwise()
    network.save_weights(folder / "only.weights.h5")
    return folder / "only.weights.h5"


def make_lambda(folder, suffix=".keras"):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = layers.Lambda(lambda x: x * 2, output_shape=(None, None, 3))(image)
    return save(keras.Model(image, layers.Conv2D(3, 1)(x)), folder / f"code{suffix}")


class Own(layers.Layer):
    """A layer that nobody else has."""

    def call(self, x):
        return x


def make_own(folder, suffix=".keras"):
    image = keras.Input((None, None, 3))
    return save(keras.Model(image, layers.Conv2D(3, 1)(Own()(image))), folder / f"own{suffix}")


def make_two_inputs(folder):
    image, other = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    x = layers.Conv2D(3, 1)(layers.Concatenate()([image, other]))
    return save(keras.Model([image, other], x), folder / "two.keras")


def make_two_outputs(folder):
    image = keras.Input((None, None, 3))
    outputs = [layers.Conv2D(3, 1)(image), layers.Conv2D(3, 1)(image)]
    return save(keras.Model(image, outputs), folder / "outputs.keras")


def make_unknown_scores(folder):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1, activation="hard_sigmoid")(image)
    return save(keras.Model(image, x), folder / "unknown.keras")


def make_labels(folder):
    """Write a SavedModel that returns labels, not scores."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    def label(image):
        return {"labels": tf.argmax(image, axis=-1)}

    tf.saved_model.save(tf.Module(), str(folder / "labels"), signatures={"serving_default": label})
    return folder / "labels"


def make_open_rank(folder):
    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="image")])
    def score(image):
        return {"scores": image}

    tf.saved_model.save(tf.Module(), str(folder / "rank"), signatures={"serving_default": score})
    return folder / "rank"


def make_signatures(folder):
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    def score(image):
        return {"scores": image}

    tf.saved_model.save(tf.Module(), str(folder / "many"), signatures={"one": score, "two": score})
    return folder / "many"


def make_broken_graph(folder):
    (folder / "broken").mkdir()
    (folder / "broken" / "saved_model.pb").write_bytes(b"not a graph")
    return folder / "broken"


def make_new_opset(folder, domain=""):
    foreign.write_torch_unet(folder / "new.onnx", opset=99, domain=domain)
    return folder / "new.onnx"


def make_onnx_junk(folder):
    (folder / "junk.onnx").write_bytes(b"junk")
    return folder / "junk.onnx"


def make_onnx_of_one_image(folder):
    """Write a network that reshapes to one image, whatever it is given."""
    shape = onnx.numpy_helper.from_array(np.array([1, 3, 8, 8]), "shape")
    tensors = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])]
        for name in ("input", "scores")
    ]
    node = helper.make_node("Reshape", ["input", "shape"], ["scores"])
    graph = helper.make_graph([node], "g", *tensors, [shape])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "one.onnx")
    return folder / "one.onnx"


def make_text(folder):
    (folder / "notes.txt").touch()
    return folder / "notes.txt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_junk, "junk.keras must be a network that Keras saved whole"),
        (make_weights, "only.weights.h5 must be a network that Keras saved whole"),
        (make_lambda, "must hold no code unless it is trusted; code.keras has a Lambda layer"),
        (lambda folder: make_lambda(folder, ".h5"), "unless it is trusted; code.h5 has a Lambda"),
        (make_own, "must be those of Keras; own.keras has Own. Where they are defined"),
        (lambda folder: make_own(folder, ".h5"), "must be those of Keras; own.h5 has Own"),
        (make_two_inputs, "a network must take one image and nothing else; its inputs are"),
        (make_two_outputs, "the output with the scores must be named by --scores"),
        (make_unknown_scores, "the meaning of the outputs must be known, logits or"),
        (make_labels, "the output must be scores, one for each class, of floating-point"),
        (make_open_rank, "the input must have a known rank of 4; it is image float32 (rank unkno"),
        (make_signatures, "--signature must name it; it has one, two"),
        (make_broken_graph, "broken must load in TensorFlow"),
        (make_new_opset, "the opset of a network must be at most"),
        (lambda folder: make_new_opset(folder, "ai.onnx"), "opset of a network must be at most"),
        (make_onnx_junk, "junk.onnx must be a network in ONNX"),
        (make_onnx_of_one_image, "the network must take any number of images at a time"),
        (make_text, "must be a .keras, .h5 or .onnx file, or the folder of a SavedModel; "),
        (lambda folder: folder, "is none of them"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_network_that_cannot_be_adopted_is_refused_in_one_line_and_nothing_is_written(
    tmp_path, output, make, message
):
    result = run(make(tmp_path), output, *CLASSES, "--range", 0, 1)

    check_refusal(result, output, message)


def test_a_trusted_file_may_hold_code(tmp_path):
    source = read_source(make_lambda(tmp_path), SourceOptions(trusts=True))

    assert source.run(np.ones((1, 2, 2, 3), np.float32)).shape == (1, 2, 2, 3)


def test_one_of_several_outputs_is_chosen_by_name(tmp_path):
    path = make_two_outputs(tmp_path)
    network, image = keras.models.load_model(path), np.ones((1, 2, 2, 3), np.float32)
    for name, expected in zip(network.output_names, network(image), strict=True):
        source = read_source(path, SourceOptions(scores=name))
        np.testing.assert_allclose(source.run(image), expected, atol=1e-6)


def make_dictionary(folder):
    """Make a network whose outputs are in another order than their keys."""
    image = keras.Input((None, None, 3))
    edges, cover = layers.Conv2D(3, 1, name="one")(image), layers.Conv2D(4, 1, name="two")(image)
    return save(keras.Model(image, {"edges": edges, "cover": cover}), folder / "given.keras")


@pytest.mark.parametrize(("name", "outputs"), [("edges", 3), ("cover", 4)])
def test_one_of_the_outputs_in_a_dictionary_is_chosen_by_its_key(tmp_path, name, outputs):
    path = make_dictionary(tmp_path)
    source, image = read_source(path, SourceOptions(scores=name)), np.ones((1, 2, 2, 3), np.float32)
    expected = keras.models.load_model(path)(image)[name]

    assert source.output.shape == (None, None, None, outputs)
    assert source.network.outputs[0].shape == source.output.shape
    np.testing.assert_allclose(source.run(image), expected, atol=1e-6)


def test_the_keys_of_outputs_are_told(tmp_path, output):
    result = run(make_dictionary(tmp_path), output, *CLASSES, "--range", 0, 1)

    check_refusal(result, output, "must be named by --scores, as there are several; they are cover")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (foreign.plain_unet, (*CLASSES, "--range", 0, 1)),
        (foreign.mobile_encoder_decoder, CLASSES),
        (foreign.image_pooling, (*CLASSES, "--range", -1, 1)),
        (foreign.segnet, (*CLASSES[:4], "--range", 0, 1, "--fill", "mean")),
    ],
)
def test_networks_in_the_styles_of_others_are_adopted_and_segment_an_image(
    tmp_path, output, make, options
):
    """The command also counts the labels that the canvas changes."""
    adopted = run(save(make(), tmp_path / "given.keras"), output, *options)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (37, 53, 3), np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(rng.random((37, 53)) < 0.7).save(tmp_path / "mask.png")
    names = [tmp_path / "image.png", "--mask", tmp_path / "mask.png", "-o", tmp_path / "labels.png"]
    names += ["--model-repository", output.parents[1]]
    segmented = CliRunner().invoke(lacuna, ["segment", *map(str, names)])

    assert adopted.exit_code == 0, adopted.output
    assert re.search(r"canvas +broken +[1-9]\d* of 30414 pixels differ", adopted.stdout)
    assert segmented.exit_code == 0, segmented.output
    with Image.open(tmp_path / "labels.png") as labels, Image.open(tmp_path / "mask.png") as mask:
        np.testing.assert_array_equal(np.array(labels) == 255, ~np.array(mask))
