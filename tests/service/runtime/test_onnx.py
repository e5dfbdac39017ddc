import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    InvalidManifestError,
    MissingManifestError,
    OutOfMemoryError,
    SignatureMismatchError,
)
from service.core.model_formats import ONNX
from service.runtime.contract.checking import check_contract
from service.runtime.manifest import MANIFEST_FILE
from service.runtime.onnx import OnnxRuntime
from tests.support.onnx_models import (
    IMAGE,
    LABELS,
    MASK,
    PROBABILITIES,
    build,
    replace_node,
    save,
)
from tests.support.strategies import make_scene
from tests.support.tiny_models import DAMAGES, damage_file

ROOT = Path(__file__).parents[3]


def make_batch(n=1, height=4, width=5):
    scenes = [make_scene(height, width, 0.6, seed) for seed in range(n)]
    return np.stack([s.image for s in scenes]), np.stack([s.mask for s in scenes])


def build_with_class_in(place):
    """Build a model whose only class is not in it, but in a file of one byte."""
    model = build()
    (constant,) = (each for each in model.graph.initializer if each.name == "class")
    external_data_helper.set_external_data(constant, location=place, offset=0, length=1)
    constant.ClearField("raw_data")
    return model


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_is_served(tmp_path, threads):
    runtime = OnnxRuntime(save(tmp_path), threads)
    images, masks = make_batch(2)

    labels, probabilities = runtime.run(images, masks, probabilities=True)

    np.testing.assert_array_equal(labels, np.where(masks, 0, 255))
    assert (labels.dtype, probabilities.dtype) == (np.uint8, np.float32)
    np.testing.assert_allclose(probabilities, masks[..., None] * np.full(3, 1 / 3), rtol=1e-6)
    alone = runtime.run(images, masks, probabilities=False)
    np.testing.assert_array_equal(alone.labels, labels)
    assert alone.probabilities is None
    assert (runtime.manifest.name, runtime.model_format) == ("tiny", ONNX)
    assert not runtime.can_keep


def test_the_contract_of_a_model_is_checked_as_that_of_any_other(tmp_path):
    assert check_contract(OnnxRuntime(save(tmp_path))).holds


def test_a_model_that_leaves_more_open_than_the_service_fixes_is_served(tmp_path):
    image = ("image", TensorProto.FLOAT, [None, None, None, "channels"])
    outputs = [("labels", TensorProto.UINT8, None), ("probabilities", TensorProto.FLOAT, None)]
    save(tmp_path, inputs=[image, MASK], outputs=outputs)

    assert OnnxRuntime(tmp_path).run(*make_batch(), probabilities=False).labels.size == 20


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    (save(tmp_path) / MANIFEST_FILE).unlink()

    with pytest.raises(MissingManifestError):
        OnnxRuntime(tmp_path)


def test_a_wrong_manifest_is_told_before_the_graph_is_loaded(tmp_path):
    (save(tmp_path) / MANIFEST_FILE).write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"no graph either")

    with pytest.raises(InvalidManifestError):
        OnnxRuntime(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_graph_is_refused(tmp_path, damage):
    damage_file(save(tmp_path) / "model.onnx", damage)

    with pytest.raises(
        InvalidGraphError, match=r"model\.onnx must load in ONNX Runtime \d"
    ) as raised:
        OnnxRuntime(tmp_path)

    assert str(tmp_path) not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"opset": 999}, "999"),
        ({"domain": "somebody"}, "somebody"),
        ({"nodes": replace_node("labels", "Guess", ["valid", "class"])}, "Guess"),
        ({"nodes": replace_node("labels", "Where", ["valid", "zero", "invalid"])}, "labels|Type"),
    ],
)
def test_what_onnx_runtime_does_not_know_is_named(tmp_path, options, reason):
    with pytest.raises(InvalidGraphError, match=rf"model.onnx must load .*; .*({reason})"):
        OnnxRuntime(save(tmp_path, **options))


def test_weights_in_a_file_of_the_folder_are_read(tmp_path):
    save(tmp_path, build_with_class_in("weights.bin"))
    (tmp_path / "weights.bin").write_bytes(bytes([2]))

    labels = OnnxRuntime(tmp_path).run(*make_batch(), probabilities=False).labels

    assert set(np.unique(labels)) == {2, 255}


@pytest.mark.parametrize("place", ["../weights.bin", "{}/weights.bin", "nowhere.bin"])
def test_weights_outside_the_folder_or_nowhere_are_refused(tmp_path, place):
    save(tmp_path / "1", build_with_class_in(place.format(tmp_path)))
    (tmp_path / "weights.bin").write_bytes(bytes([2]))

    with pytest.raises(InvalidGraphError, match=r"model\.onnx must load"):
        OnnxRuntime(tmp_path / "1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"inputs": [("image", TensorProto.FLOAT, ["N", "H", "W", 4]), MASK]},
            r"inputs must be image float \(None, None, None, 3\).*they are image float .* 4\)",
        ),
        (
            {"inputs": [("image", TensorProto.FLOAT, [1, 64, 64, 3]), MASK]},
            r"they are image float \(1, 64, 64, 3\)",
        ),
        ({"inputs": [("image", TensorProto.FLOAT16, IMAGE[2]), MASK]}, "they are image float16"),
        ({"inputs": [IMAGE, MASK, ("keep", TensorProto.INT32, [4])]}, "they are .* keep int32"),
        (
            {"outputs": [LABELS, PROBABILITIES, ("scores", TensorProto.FLOAT, None)]},
            "outputs must be .* they are .* scores float",
        ),
        ({"outputs": [LABELS]}, "outputs must be .* they are labels uint8"),
    ],
)
def test_other_inputs_and_outputs_are_told_beside_those_that_must_be(tmp_path, options, message):
    with pytest.raises(SignatureMismatchError, match=message):
        OnnxRuntime(save(tmp_path, **options))


def test_a_model_that_fails_while_running_is_told_as_an_inference_error(tmp_path):
    nodes = replace_node("valid", "Reshape", ["mask", "last"])
    runtime = OnnxRuntime(save(tmp_path, nodes=nodes))

    for probabilities in (True, False):
        with pytest.raises(InferenceError, match=r"the model failed: .*Reshape"):
            runtime.run(*make_batch(), probabilities=probabilities)


def test_a_tensor_that_there_is_no_memory_for_is_no_fault_of_the_model(tmp_path):
    nodes = replace_node("expanded", "Expand", ["zero", "huge"])
    nodes.insert(1, ("Mul", ["shape", "million"], "huge", {}))
    model = build(nodes)
    million = np.array([1, 1 << 20, 1 << 20, 1])
    model.graph.initializer.append(onnx.numpy_helper.from_array(million, "million"))
    runtime = OnnxRuntime(save(tmp_path, model))

    with pytest.raises(OutOfMemoryError, match="memory to run the model; it has run out"):
        runtime.run(*make_batch(), probabilities=True)


@pytest.mark.parametrize("wrong", ["labels", "probabilities"])
def test_a_model_that_returns_another_size_breaks_its_word(tmp_path, wrong):
    nodes = replace_node(wrong, "Identity", ["invalid" if wrong == "labels" else "zero"])
    outputs = [(*LABELS[:2], None), (*PROBABILITIES[:2], None)]
    runtime = OnnxRuntime(save(tmp_path, nodes=nodes, outputs=outputs))

    with pytest.raises(InferenceError, match=rf"must return {wrong} of .* it returned \(\)"):
        runtime.run(*make_batch(), probabilities=True)


def test_images_of_another_number_of_channels_are_an_inference_error(tmp_path):
    images, masks = make_batch()

    with pytest.raises(InferenceError):
        OnnxRuntime(save(tmp_path)).run(images[..., :2], masks, probabilities=False)


WITHOUT_THE_EXTRA = """
import sys
from pathlib import Path
sys.modules["onnxruntime"] = None  # as if it were not installed
from lacuna.errors import ModelError
from service.local.loading import load_model
try:
    load_model(Path(sys.argv[1]))
except ModelError as error:
    print(error.code, error)
"""


def test_without_the_extra_the_message_says_how_to_install_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, str(save(tmp_path / "m" / "1"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(
        "invalid_graph a model in ONNX needs the extra `onnx`, pip install"
    )


RUN_AT_HOME = """
import sys
from pathlib import Path
import numpy as np
import service.assembly, service.cli.serve  # all of a server
from service.local.loading import load_model
runtime = load_model(Path(sys.argv[1]))
runtime.run(np.ones((1, 2, 2, 3), np.float32), np.ones((1, 2, 2), bool), probabilities=True)
print(sorted(name for name in sys.modules if name in ("tensorflow", "keras", "model", "onnx")))
"""


def test_no_use_is_reported_to_anybody_and_tensorflow_is_not_imported(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", RUN_AT_HOME, str(save(tmp_path / "m" / "1"))],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": "", "ORT_DISABLE_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=True,
    )

    # Its reports start from an identifier and a queue of events in the user's folder.
    assert list(home.rglob("*")) == []
    assert (done.stdout, done.stderr) == ("[]\n", "")
