import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from model.export import build_manifest, describe_classes, export_network
from model.network import NetworkConfig
from service.runtime.manifest import read_manifest
from service.runtime.saved_model import SavedModelRuntime
from tests.support.networks import manifest_of, random_network
from tests.support.strategies import make_scene

CONFIG = NetworkConfig(widths=(4, 6), convs_per_level=1)
ROOT = Path(__file__).parents[2]


def operations(signature):
    """Give the kinds of operations in a graph and in the functions it calls."""
    graph = signature.graph.as_graph_def()
    nodes = [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]
    # Of products only those of features count, not those of sides.
    return Counter(
        node.op
        for node in nodes
        if node.op != "Mul" or node.attr["T"].type == tf.float32.as_datatype_enum
    )


@pytest.fixture(scope="module")
def loaded(exported_folder):
    return tf.saved_model.load(str(exported_folder))


@pytest.fixture(scope="module")
def exported_before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before") / "1"
    export_network(random_network(CONFIG), CONFIG, manifest_of(CONFIG, "old"), folder)
    return folder


@pytest.fixture
def old(exported_before, tmp_path):
    """Folder of a model exported before."""
    return shutil.copytree(exported_before, tmp_path / "repository" / "random" / "1")


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_there_are_four_signatures_of_image_and_mask_and_two_of_a_window_as_well(loaded):
    whole = {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32, name="image"),
        "mask": tf.TensorSpec((None, None, None, 1), tf.bool, name="mask"),
    }
    tile = {**whole, "keep": tf.TensorSpec((4,), tf.int32, name="keep")}
    expected = dict.fromkeys(("serving_default", "labels", "strips", "strips_labels"), whole)
    expected |= {"tile": tile, "tile_labels": tile}
    assert set(loaded.signatures) == set(expected)
    for name, signature in loaded.signatures.items():
        assert signature.structured_input_signature == ((), expected[name])


@pytest.mark.parametrize(
    "names", [("serving_default", "labels"), ("tile", "tile_labels"), ("strips", "strips_labels")]
)
def test_the_signatures_give_labels_and_probabilities_or_labels_alone(loaded, names):
    full, labels = (loaded.signatures[name] for name in names)
    assert set(full.structured_outputs) == {"labels", "probabilities"}
    assert set(labels.structured_outputs) == {"labels"}
    assert full.structured_outputs["labels"].dtype == tf.uint8
    assert full.structured_outputs["probabilities"].dtype == tf.float32


def test_the_graph_computes_what_the_trained_network_does(exported):
    network = random_network(NetworkConfig())
    scene = make_scene(37, 53, 0.7, seed=2)
    logits = network([scene.image[None], scene.mask[None, ..., None]], training=False).numpy()
    power = np.exp(logits.astype(np.float64))
    expected = np.where(scene.mask[None, ..., None], power / power.sum(-1, keepdims=True), 0)
    actual = exported.run(scene.image[None], scene.mask[None], probabilities=True)
    np.testing.assert_allclose(actual.probabilities, expected, atol=1e-5)


def test_weights_stand_in_the_graph_once(exported_folder):
    network = random_network(NetworkConfig())
    raw = 4 * sum(int(np.prod(weight.shape)) for weight in network.weights)
    size = (exported_folder / "saved_model.pb").stat().st_size
    assert raw < size < 1.9 * raw  # the graphs of three networks, and their weights once
    assert size < 4_000_000


def test_every_weight_is_a_constant(loaded):
    for signature in loaded.signatures.values():
        assert not signature.variables
        assert not [kind for kind in operations(signature) if "Var" in kind]


def test_the_graph_has_one_product_a_convolution_and_one_count_a_level(loaded):
    config = NetworkConfig()
    levels = len(config.widths)
    convolutions = config.convs_per_level * (2 * levels - 1)
    kinds = operations(loaded.signatures["labels"])
    assert kinds["Conv2D"] == convolutions + 1
    # Valid pixels are counted by two additions along each side of the windows.
    assert kinds["AddV2"] == 4 * levels
    assert kinds["Relu"] == convolutions
    # One behind each convolution (the last one's behind the logits), one in each coverage map, one
    # that cuts each upsampled map.
    assert kinds["Mul"] == convolutions + levels + (levels - 1)
    # The image and the labels.
    assert kinds["SelectV2"] == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (8, 8), (33, 50)])
def test_images_of_any_size_are_segmented(exported, size):
    scenes = [make_scene(*size, valid, seed=1) for valid in (1.0, 0.5)]
    images, masks = (np.stack(part) for part in list(zip(*scenes, strict=True))[:2])
    labels, probabilities = exported.run(images, masks, probabilities=True)
    assert labels.shape == (2, *size)
    np.testing.assert_array_equal(labels == 255, ~masks)
    np.testing.assert_array_equal(labels[masks], probabilities[masks].argmax(axis=-1))
    np.testing.assert_allclose(probabilities.sum(axis=-1), masks, rtol=1e-5)
    assert not probabilities[~masks].any()


def test_the_manifest_is_one_that_the_service_reads(exported_folder):
    manifest = read_manifest(exported_folder)
    assert manifest.name == "random"
    assert manifest.image.channels == 3
    assert [(entry.id, entry.name) for entry in manifest.classes] == [
        (0, "grass"),
        (1, "gravel"),
        (2, "brick"),
    ]
    assert (manifest.total_stride, manifest.receptive_radius) == (8, 51)


def test_the_manifest_has_the_checksums_of_all_files_that_a_runtime_reads(exported_folder):
    expected = {
        path.as_posix(): hashlib.sha256(data).hexdigest()
        for path, data in contents(exported_folder).items()
        if path.parts[0] != "assets.extra"
    }

    assert read_manifest(exported_folder).checksums == expected
    assert "saved_model.pb" in expected


def test_the_manifest_says_how_the_network_was_trained_and_what_it_scored(tmp_path):
    classes = describe_classes("ab", [(0, 0, 0), (255, 128, 1)])
    config = NetworkConfig(channels=1, classes=2, widths=(4,))
    manifest = build_manifest(
        "m",
        "d",
        config,
        classes,
        "uint16",
        ["nir"],
        training={"steps": 3},
        scores={"mean_iou": 0.5},
    )
    export_network(random_network(config), config, manifest, tmp_path / "m" / "1")
    read = read_manifest(tmp_path / "m" / "1")
    assert read.image.dtype == "uint16"
    assert read.image.bands == ("nir",)
    assert read.classes[1].rgb == (255, 128, 1)
    assert read.training == {"steps": 3}
    assert read.scores == {"mean_iou": 0.5}


def test_as_many_classes_as_outputs_must_be_described():
    with pytest.raises(ValueError, match="Received: 2"):
        build_manifest("m", "d", CONFIG, describe_classes("ab", [(0, 0, 0)] * 2))


def test_each_class_needs_a_colour():
    with pytest.raises(ValueError, match="zip"):
        describe_classes("ab", [(0, 0, 0)])


def test_an_export_that_fails_leaves_the_old_model_as_it_was(old):
    before = contents(old)
    unwritable = {**manifest_of(CONFIG, "new"), "scores": {"mean_iou": object()}}
    with pytest.raises(TypeError):
        export_network(random_network(CONFIG, seed=1), CONFIG, unwritable, old)
    assert contents(old) == before
    assert SavedModelRuntime(old).manifest.name == "old"


def test_a_network_that_does_not_fit_its_configuration_leaves_the_old_model_as_it_was(old):
    before = contents(old)
    other = NetworkConfig(widths=(4, 6), convs_per_level=2)
    with pytest.raises(ValueError, match="conv1"):
        export_network(random_network(CONFIG), other, manifest_of(other), old)
    assert contents(old) == before


def test_an_export_after_one_that_failed_succeeds_and_leaves_nothing_behind(old):
    with pytest.raises(TypeError):
        export_network(random_network(CONFIG), CONFIG, {"scores": object()}, old)
    export_network(random_network(CONFIG, seed=1), CONFIG, manifest_of(CONFIG, "new"), old)
    assert SavedModelRuntime(old).manifest.name == "new"
    assert [path.name for path in old.parent.iterdir()] == ["1"]


def test_an_unfinished_export_is_not_in_a_folder_that_looks_like_a_version(old):
    with pytest.raises(TypeError):
        export_network(random_network(CONFIG), CONFIG, {"scores": object()}, old)
    assert [path.name for path in old.parent.iterdir() if path.name[:1].isdigit()] == ["1"]


def test_an_export_replaces_an_older_one_whole(old):
    (old / "left_over.txt").write_text("of the old one")
    export_network(random_network(CONFIG, seed=1), CONFIG, manifest_of(CONFIG, "new"), old)
    assert SavedModelRuntime(old).manifest.name == "new"
    assert not (old / "left_over.txt").exists()


def test_an_export_makes_the_folders_above_it(tmp_path):
    folder = tmp_path / "a" / "b" / "1"
    export_network(random_network(CONFIG), CONFIG, manifest_of(CONFIG), folder)
    assert (folder / "saved_model.pb").is_file()
    assert json.loads((folder / "assets.extra" / "manifest.json").read_text())["schema"] == 1


SERVE = """
import json, sys
from pathlib import Path
sys.modules["model"] = None  # our package is not there
import numpy as np
from service.runtime.saved_model import SavedModelRuntime
runtime = SavedModelRuntime(Path(sys.argv[1]))
image = (np.arange(5 * 7 * 3) * 2).reshape(1, 5, 7, 3).astype(np.float32)
labels = runtime.run(image, np.ones((1, 5, 7), bool), probabilities=True).labels
loaded = [name for name in sys.modules if name.split(".")[0] in ("keras", "tf_keras")]
print(json.dumps({"labels": labels.tolist(), "loaded": loaded}))
"""


def test_a_server_imports_no_keras_needs_no_package_of_ours_and_gives_the_same_answer(
    exported, exported_folder
):
    finished = subprocess.run(
        [sys.executable, "-c", SERVE, str(exported_folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(finished.stdout)
    image = (np.arange(5 * 7 * 3) * 2).reshape(1, 5, 7, 3).astype(np.float32)
    expected = exported.run(image, np.ones((1, 5, 7), bool), probabilities=True).labels
    assert answer["loaded"] == []
    assert answer["labels"] == expected.tolist()
