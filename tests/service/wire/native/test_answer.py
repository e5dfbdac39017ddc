import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from lacuna.outputs import MEDIA_TYPES, OUTPUT_TYPES, find_by_media_type
from lacuna.sample import Segmentation
from service.runtime.fake import FAKE_MANIFEST
from service.wire.dialect import Answer
from service.wire.native.answer import render as render_kind

LABELS = np.array([[0, 0, 2], [255, 2, 2]], np.uint8)
PROBABILITIES = np.eye(3, dtype=np.float32)[np.where(LABELS == 255, 0, LABELS)]
ANSWER = Answer(
    "fake", "1", FAKE_MANIFEST, [Segmentation(LABELS, PROBABILITIES)], {"infer": 0.0123456}
)


def render(answer, media_type):
    return render_kind(answer, find_by_media_type(media_type))


def test_json_comes_first_and_only_npz_holds_probabilities():
    assert MEDIA_TYPES[0] == "application/json"
    assert [kind.key for kind in OUTPUT_TYPES if kind.has_probabilities] == ["npz"]


def test_json_tells_size_areas_and_timings():
    content = json.loads(render(ANSWER, "application/json"))

    assert content["model"] == {"name": "fake", "version": "1"}
    assert content["size"] == {"height": 2, "width": 3}
    assert content["valid"] == {"pixels": 5, "fraction": 5 / 6}
    assert [entry["pixels"] for entry in content["classes"]] == [2, 0, 3]
    assert [entry["fraction"] for entry in content["classes"]] == [0.4, 0.0, 0.6]
    assert content["classes"][2]["name"] == "bright"
    assert content["timings_ms"] == {"infer": 12.346}


# pycocotools predates NumPy 2's copy keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_each_class_is_run_length_encoded_as_coco_tools_read_it():
    content = json.loads(render(ANSWER, "application/json"))

    for entry in content["classes"]:
        decoded = coco.decode(entry["segmentation"])
        assert np.array_equal(decoded, entry["id"] == LABELS)


def test_fractions_of_an_image_without_valid_pixels_are_0():
    nothing = Answer("fake", "1", FAKE_MANIFEST, [Segmentation(np.full((2, 2), 255, np.uint8))], {})

    content = json.loads(render(nothing, "application/json"))

    assert [entry["fraction"] for entry in content["classes"]] == [0, 0, 0]


def test_png_has_labels_as_indices_class_colours_and_transparent_gaps():
    picture = Image.open(io.BytesIO(render(ANSWER, "image/png")))

    assert np.array_equal(np.asarray(picture), LABELS)
    shown = np.asarray(picture.convert("RGBA"))
    assert shown[0, 0].tolist() == [0x20, 0x20, 0x20, 255]
    assert shown[0, 2].tolist() == [0xE0, 0xE0, 0xE0, 255]
    assert shown[1, 0, 3] == 0


def test_npy_holds_the_labels():
    assert np.array_equal(np.load(io.BytesIO(render(ANSWER, "application/x-npy"))), LABELS)


def test_npz_holds_labels_and_probabilities():
    content = np.load(io.BytesIO(render(ANSWER, "application/zip")))

    assert np.array_equal(content["labels"], LABELS)
    assert np.array_equal(content["probabilities"], PROBABILITIES)


def test_npz_without_probabilities_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="needs probabilities"):
        render(Answer("fake", "1", FAKE_MANIFEST, [Segmentation(LABELS)], {}), "application/zip")
