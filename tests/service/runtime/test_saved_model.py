import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    InvalidManifestError,
    MissingManifestError,
    OutOfMemoryError,
    SignatureMismatchError,
)
from service.runtime.manifest import MANIFEST_FILE
from service.runtime.saved_model import SavedModelRuntime
from tests.support.strategies import make_scene

MANIFEST = {
    "schema": 1,
    "name": "tiny",
    "image": {"channels": 3, "dtype": "uint8"},
    "classes": [{"id": index, "name": str(index), "color": "#000000"} for index in range(3)],
    "total_stride": 1,
    "receptive_radius": 0,
}
IMAGE = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
MASK = tf.TensorSpec((None, None, None, 1), tf.bool, name="mask")


def segment(image, mask, classes=3, dtype=tf.uint8):
    """Label every pixel as class 0."""
    labels = tf.where(mask[..., 0], tf.constant(0, dtype), tf.constant(255, dtype))
    size = tf.concat([tf.shape(mask)[:3], [classes]], axis=0)
    probabilities = tf.where(mask, tf.ensure_shape(tf.ones(size), (None, None, None, classes)), 0.0)
    return {"labels": labels, "probabilities": probabilities / classes}


def label(image, mask, **arguments):
    return {"labels": segment(image, mask, **arguments)["labels"]}


def without_mask(function):
    """Return a function that takes any mask and ignores it."""

    def call(image, mask):
        return function(image, tf.ones_like(image[..., :1]) > 0)

    return call


def of_a_picture(function):
    """Return a function whose first input has another name."""

    def call(picture, mask):
        return function(picture, mask)

    return call


def afraid_of_light(function):
    """Return a function that fails for bright images."""

    def call(image, mask):
        with tf.control_dependencies([tf.debugging.assert_less(image, 10.0, "too bright")]):
            return function(image, tf.identity(mask))

    return call


def save(folder, full=segment, labels=label, image=IMAGE, mask=MASK, manifest=MANIFEST):
    """Save two functions as the two signatures of a model; None leaves one out."""
    functions = {"serving_default": full, "labels": labels}
    signatures = {
        name: tf.function(function, input_signature=[image, mask], autograph=False)
        for name, function in functions.items()
        if function is not None
    }
    module = tf.Module()
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if manifest is not None:
        (folder / MANIFEST_FILE).parent.mkdir(exist_ok=True)
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def make_batch(n=1, height=4, width=5):
    scenes = [make_scene(height, width, 0.6, seed) for seed in range(n)]
    return np.stack([s.image for s in scenes]), np.stack([s.mask for s in scenes])


def test_a_model_with_both_signatures_is_served(tmp_path):
    runtime = SavedModelRuntime(save(tmp_path))
    images, masks = make_batch(2)
    labels, probabilities = runtime.run(images, masks, probabilities=True)
    np.testing.assert_array_equal(labels, np.where(masks, 0, 255))
    assert (labels.dtype, probabilities.dtype) == (np.uint8, np.float32)
    assert probabilities.shape == (*masks.shape, 3)
    assert runtime.manifest.name == "tiny"


def test_a_model_that_leaves_more_open_than_the_service_fixes_is_served(tmp_path):
    image = tf.TensorSpec(None, tf.float32, name="image")
    save(tmp_path, image=image)
    assert SavedModelRuntime(tmp_path).run(*make_batch(), probabilities=False).labels.size == 20


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    with pytest.raises(MissingManifestError):
        SavedModelRuntime(save(tmp_path, manifest=None))


def test_a_wrong_manifest_is_told_before_the_graph_is_loaded(tmp_path):
    save(tmp_path, manifest={**MANIFEST, "total_stride": 0})
    (tmp_path / "saved_model.pb").write_bytes(b"no graph either")
    with pytest.raises(InvalidManifestError, match="total_stride"):
        SavedModelRuntime(tmp_path)


@pytest.mark.parametrize("damage", ["removed", "empty", "noise", "cut short"])
def test_a_damaged_graph_is_refused(tmp_path, damage):
    path = save(tmp_path) / "saved_model.pb"
    whole = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        noise = np.random.default_rng(0).bytes(500)
        path.write_bytes({"empty": b"", "noise": noise, "cut short": whole[:-100]}[damage])
    with pytest.raises(InvalidGraphError, match=r"saved_model.pb must load in TensorFlow"):
        SavedModelRuntime(tmp_path)


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [("serving_default", {"full": None}), ("labels", {"labels": None})],
)
def test_a_missing_signature_is_named_with_those_that_are_there(tmp_path, missing, arguments):
    (other,) = {"serving_default", "labels"} - {missing}
    with pytest.raises(SignatureMismatchError, match=rf"signature {missing}; it has {other}$"):
        SavedModelRuntime(save(tmp_path, **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"image": tf.TensorSpec((None, None, None, 4), tf.float32, name="image")},
            r"inputs must be image float32 \(None, None, None, 3\).*they are image float32 .* 4\)",
        ),
        (
            {"image": tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")},
            "they are image uint8",
        ),
        (
            {"image": tf.TensorSpec((None, None, None, 3), tf.float32, name="picture")},
            "inputs must be image .* they are .*picture",
        ),
        (
            {"image": tf.TensorSpec((None, 64, 64, 3), tf.float32, name="image")},
            r"they are image float32 \(None, 64, 64, 3\)",
        ),
        ({"mask": tf.TensorSpec((None, None, None, 1), tf.float32, name="mask")}, "mask float32"),
        ({"mask": tf.TensorSpec((None, None, None), tf.bool, name="mask")}, "mask bool"),
        ({"full": partial(segment, classes=4)}, r"they are .*probabilities float32 .* 4\)"),
        ({"full": partial(segment, dtype=tf.int32)}, "outputs must be .* they are labels int32"),
        ({"labels": partial(label, dtype=tf.int32)}, "labels: outputs must be .* labels int32"),
        ({"full": label}, "outputs must be labels uint8 .*probabilities.* they are labels"),
    ],
)
def test_other_inputs_and_outputs_are_told_beside_those_that_must_be(tmp_path, arguments, message):
    functions = {"full": segment, "labels": label}
    if "mask" in arguments:
        functions = {name: without_mask(function) for name, function in functions.items()}
    if arguments.get("image", IMAGE).name == "picture":
        functions = {name: of_a_picture(function) for name, function in functions.items()}
    with pytest.raises(SignatureMismatchError, match=message):
        SavedModelRuntime(save(tmp_path, **{**functions, **arguments}))


def test_a_model_that_fails_while_running_is_told_as_an_inference_error(tmp_path):
    save(tmp_path, afraid_of_light(segment), afraid_of_light(label))
    runtime = SavedModelRuntime(tmp_path)
    images, masks = make_batch()
    runtime.run(np.zeros_like(images), masks, probabilities=True)
    for probabilities in (True, False):
        with pytest.raises(InferenceError, match="too bright"):
            runtime.run(images + 10, masks, probabilities=probabilities)


def test_a_tensor_that_there_is_no_memory_for_is_no_fault_of_the_model(tmp_path):
    def allocate(image, mask):
        petabyte = tf.fill(tf.concat([tf.shape(mask)[1:2], [1 << 20, 1 << 27]], axis=0), 0.0)
        return {"labels": label(image, mask)["labels"] + tf.cast(petabyte[0, 0, 0], tf.uint8)}

    runtime = SavedModelRuntime(save(tmp_path, labels=allocate))
    images, masks = make_batch()

    runtime.run(images, masks, probabilities=True)
    with pytest.raises(OutOfMemoryError, match="memory to run the model; it has run out"):
        runtime.run(images, masks, probabilities=False)


@pytest.mark.parametrize("wrong", ["labels", "probabilities"])
def test_a_model_that_returns_another_size_breaks_its_word(tmp_path, wrong):
    def cut(image, mask):
        result = segment(image, mask)
        return {**result, wrong: result[wrong][:, 1:]}

    runtime = SavedModelRuntime(save(tmp_path, cut))
    with pytest.raises(InferenceError, match=rf"must return {wrong} of .* it returned \(1, 3, 5"):
        runtime.run(*make_batch(), probabilities=True)


def test_images_of_another_number_of_channels_are_an_inference_error(exported):
    images, masks = make_batch()
    with pytest.raises(InferenceError):
        exported.run(images[..., :2], masks, probabilities=False)


def test_labels_alone_equal_those_that_come_with_probabilities(exported):
    images, masks = make_batch(3, 21, 34)
    both = exported.run(images, masks, probabilities=True)
    alone = exported.run(images, masks, probabilities=False)
    np.testing.assert_array_equal(alone.labels, both.labels, strict=True)
    assert alone.probabilities is None


def test_calls_from_several_threads_at_once_give_what_they_give_alone(exported):
    batches = [make_batch(n, 16 + 3 * n, 40 - 2 * n) for n in (1, 2, 3, 4)] * 4
    expected = [exported.run(*batch, probabilities=True) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda b: exported.run(*b, probabilities=True), batches))
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer.labels, wanted.labels)
        np.testing.assert_array_equal(answer.probabilities, wanted.probabilities)


def test_answers_do_not_change_when_the_batch_that_was_asked_is_overwritten(exported):
    images, masks = make_batch(1, 16, 16)
    labels, probabilities = exported.run(images, masks, probabilities=True)
    before = labels.copy(), probabilities.copy()
    images[:], masks[:] = 0, False
    exported.run(images, masks, probabilities=True)
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(probabilities, before[1])


def test_images_need_not_be_contiguous(exported):
    images, masks = make_batch(2, 24, 20)
    turned = exported.run(images.swapaxes(1, 2), masks.swapaxes(1, 2), probabilities=False)
    copied = exported.run(
        np.ascontiguousarray(images.swapaxes(1, 2)),
        np.ascontiguousarray(masks.swapaxes(1, 2)),
        probabilities=False,
    )
    np.testing.assert_array_equal(turned.labels, copied.labels)
