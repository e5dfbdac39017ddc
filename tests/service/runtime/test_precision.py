import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lacuna.errors import InferenceError, PrecisionError
from lacuna.sample import Sample
from service.runtime.fake import FakeRuntime
from service.runtime.manifest import MANIFEST_FILE
from service.runtime.onnx import OnnxRuntime
from service.runtime.precision import (
    Agreement,
    compare_precisions,
    has_bfloat16_instructions,
    write_agreement,
)
from service.runtime.protocol import BatchOutput
from tests.support.demo_model import copy_demo, edit_manifest
from tests.support.runtimes import Darkening

BRIGHT = Sample(np.full((4, 6, 1), 255, np.uint8), np.ones((4, 6), np.bool_))
DARK = Sample(np.zeros((5, 2, 1), np.uint8), np.arange(10).reshape(5, 2) < 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vbmi2\n", False),
        ("", False),
    ],
)
def test_instructions_for_bfloat16_are_found_in_the_list_of_the_cpus_features(
    tmp_path, text, expected
):
    (tmp_path / "cpuinfo").write_text(text)

    assert has_bfloat16_instructions(tmp_path / "cpuinfo") is expected


def test_where_no_file_lists_the_cpus_features_there_are_none(tmp_path):
    assert not has_bfloat16_instructions(tmp_path / "cpuinfo")


def test_a_model_agrees_with_itself_in_all_labels():
    (random,) = compare_precisions(FakeRuntime(), FakeRuntime())

    assert (random.images, random.differing, random.shift) == ("random", 0, 0.0)
    assert random.pixels > 50_000


def test_labels_that_differ_are_counted_on_the_models_samples():
    _, samples = compare_precisions(Darkening(250), FakeRuntime(), [BRIGHT, DARK])

    # All pixels of one, none of the other.
    assert samples == Agreement("samples", 4 * 6 + 7, 4 * 6, 1.0)


def test_labels_that_differ_are_counted_on_random_images():
    (random,) = compare_precisions(Darkening(128), FakeRuntime())

    assert 0 < random.differing < random.pixels


def test_a_model_without_probabilities_cannot_be_compared():
    class Silent(FakeRuntime):
        def run(self, images, masks, *, probabilities, keep=None):
            return BatchOutput(super().run(images, masks, probabilities=False).labels, None)

    with pytest.raises(InferenceError, match="must return probabilities; it returned none"):
        compare_precisions(Silent(), FakeRuntime())


@pytest.mark.parametrize(
    ("images", "where"), [("random", "random images"), ("samples", "the model's samples")]
)
def test_a_comparison_is_one_sentence_for_people(images, where):
    assert Agreement(images, 93184, 41, 0.0239).summary == (
        f"41 of 93,184 labels differ from float32 on {where}, probabilities by at most 0.024"
    )


def test_a_model_in_onnx_has_no_bfloat16(tmp_path):
    mask = helper.make_tensor_value_info("mask", TensorProto.BOOL, [None, None, None, 1])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, None, None, 3])
    outputs = [
        helper.make_tensor_value_info("labels", TensorProto.UINT8, None),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [3])
    nodes = [
        helper.make_node("Squeeze", ["mask", "axes"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["labels"], to=TensorProto.UINT8),
        helper.make_node("Identity", ["image"], ["probabilities"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [image, mask], outputs, [axes])
    folder = copy_demo(tmp_path)
    edit_manifest(folder, checksums={})
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
        folder / "model.onnx",
    )

    with pytest.raises(PrecisionError, match="to run in bfloat16; it is in ONNX"):
        OnnxRuntime(folder).in_bfloat16()


def test_comparisons_are_written_into_the_scores_of_the_manifest(tmp_path):
    folder = copy_demo(tmp_path)
    before = json.loads((folder / MANIFEST_FILE).read_text())

    write_agreement(folder, "bfloat16", [Agreement("random", 9, 1, 0.5)])

    added = {"bfloat16": [{"images": "random", "pixels": 9, "differing": 1, "shift": 0.5}]}
    expected = {**before, "scores": {**before["scores"], **added}}
    assert json.loads((folder / MANIFEST_FILE).read_text()) == expected
