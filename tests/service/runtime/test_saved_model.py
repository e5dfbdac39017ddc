import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    InvalidManifestError,
    MissingManifestError,
    OutOfMemoryError,
    SignatureMismatchError,
)
from lacuna.windows.window import Window
from service.runtime.manifest import MANIFEST_FILE
from service.runtime.saved_model import SavedModelRuntime
from tests.support.strategies import make_scene
from tests.support.tiny_models import DAMAGES, MANIFEST, damage_file

IMAGE = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
MASK = tf.TensorSpec((None, None, None, 1), tf.bool, name="mask")
KEEP = tf.TensorSpec((4,), tf.int32, name="keep")


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


def segment_tile(image, mask, keep):
    """Label every pixel of a window as class 0."""
    top, left, height, width = tf.unstack(keep)
    inner = (slice(None), slice(top, top + height), slice(left, left + width))
    return segment(image[inner], mask[inner])


def label_tile(image, mask, keep):
    return {"labels": segment_tile(image, mask, keep)["labels"]}


def save(
    folder,
    full=segment,
    labels=label,
    image=IMAGE,
    mask=MASK,
    manifest=MANIFEST,
    tile=None,
    tile_labels=None,
    keep=KEEP,
    strips=None,
    strips_labels=None,
):
    """Save functions as the signatures of a model; None leaves one out."""
    functions = {
        "serving_default": (full, [image, mask]),
        "labels": (labels, [image, mask]),
        "tile": (tile, [image, mask, keep]),
        "tile_labels": (tile_labels, [image, mask, keep]),
        "strips": (strips, [image, mask]),
        "strips_labels": (strips_labels, [image, mask]),
    }
    signatures = {
        name: tf.function(function, input_signature=specs, autograph=False)
        for name, (function, specs) in functions.items()
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


def test_a_model_without_signatures_for_windows_keeps_none(tmp_path):
    assert not SavedModelRuntime(save(tmp_path)).can_keep
    assert not SavedModelRuntime(tmp_path).can_skip


def test_a_model_with_signatures_for_windows_computes_them(tmp_path):
    runtime = SavedModelRuntime(save(tmp_path, tile=segment_tile, tile_labels=label_tile))
    images, masks = make_batch(2)
    keep = Window(1, 2, 3, 2)

    labels, probabilities = runtime.run(images, masks, probabilities=True, keep=keep)

    assert runtime.can_keep
    np.testing.assert_array_equal(labels, np.where(masks, 0, 255)[:, 1:4, 2:4])
    assert probabilities.shape == (2, 3, 2, 3)
    alone = runtime.run(images, masks, probabilities=False, keep=keep)
    np.testing.assert_array_equal(alone.labels, labels)
    assert alone.probabilities is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"tile": segment_tile},
        {"tile_labels": label_tile},
        {"tile": label_tile, "tile_labels": label_tile},
        {
            "tile": segment_tile,
            "tile_labels": label_tile,
            "keep": tf.TensorSpec((4,), tf.int64, name="keep"),
        },
    ],
)
def test_signatures_for_windows_must_both_be_there_and_fit(tmp_path, arguments):
    save(tmp_path, **arguments)
    with pytest.raises(SignatureMismatchError, match="tile"):
        SavedModelRuntime(tmp_path)


def test_a_model_with_signatures_for_strips_computes_them(tmp_path):
    def other(image, mask):
        full = segment(image, mask)
        return {**full, "labels": tf.minimum(full["labels"], 7)}

    def other_labels(image, mask):
        return {"labels": other(image, mask)["labels"]}

    runtime = SavedModelRuntime(save(tmp_path, strips=other, strips_labels=other_labels))
    images, masks = make_batch(2)

    assert runtime.can_skip
    assert not runtime.can_keep
    for probabilities in (True, False):
        output = runtime.run(images, masks, probabilities=probabilities, on_strips=True)
        np.testing.assert_array_equal(output.labels, np.where(masks, 0, 7))
        assert (output.probabilities is not None) == probabilities


@pytest.mark.parametrize(
    "arguments",
    [{"strips": segment}, {"strips_labels": label}, {"strips": label, "strips_labels": label}],
)
def test_signatures_for_strips_must_both_be_there_and_fit(tmp_path, arguments):
    save(tmp_path, **arguments)
    with pytest.raises(SignatureMismatchError, match="strips"):
        SavedModelRuntime(tmp_path)


def test_a_window_of_another_size_than_the_one_to_keep_is_an_error(tmp_path):
    def whole(image, mask, keep):
        return segment(image, mask & (keep[0] >= 0))

    def whole_labels(image, mask, keep):
        return {"labels": whole(image, mask, keep)["labels"]}

    runtime = SavedModelRuntime(save(tmp_path, tile=whole, tile_labels=whole_labels))
    for probabilities in (True, False):
        with pytest.raises(InferenceError, match=r"must return labels of \(1, 2, 2\)"):
            runtime.run(*make_batch(), probabilities=probabilities, keep=Window(0, 0, 2, 2))


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    with pytest.raises(MissingManifestError):
        SavedModelRuntime(save(tmp_path, manifest=None))


def test_a_wrong_manifest_is_told_before_the_graph_is_loaded(tmp_path):
    save(tmp_path, manifest={**MANIFEST, "total_stride": 0})
    (tmp_path / "saved_model.pb").write_bytes(b"no graph either")
    with pytest.raises(InvalidManifestError, match="total_stride"):
        SavedModelRuntime(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_graph_is_refused(tmp_path, damage):
    damage_file(save(tmp_path) / "saved_model.pb", damage)
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


needs_arithmetic = pytest.mark.skipif(
    "avx512f" not in Path("/proc/cpuinfo").read_text().split(),
    reason="TensorFlow has bfloat16 for CPUs with AVX-512 alone",
)


def project(image, mask):
    """Label every pixel as class 0, and return the first channel as all probabilities."""
    kernel = tf.constant([[[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    values = tf.where(mask, tf.nn.conv2d(image, kernel, 1, "SAME"), 0.0)
    return {"labels": segment(image, mask)["labels"], "probabilities": values}


def project_labels(image, mask):
    return {"labels": project(image, mask)["labels"]}


@needs_arithmetic
def test_in_bfloat16_a_convolution_rounds_to_8_bits_and_the_other_precision_stays(tmp_path):
    exact = SavedModelRuntime(save(tmp_path, full=project, labels=project_labels))
    fast = exact.in_bfloat16()
    # Halfway between two numbers, to the even one; and numbers that have 8 bits.
    given, rounded = [1 + 1 / 256, 257, 1.5, -3], [1, 256, 1.5, -3]
    images = np.zeros((1, 1, 4, 3), np.float32)
    images[0, 0, :, 0] = given
    masks = np.ones((1, 1, 4), np.bool_)

    for _ in range(2):  # each after the other
        for runtime, expected in ((fast, rounded), (exact, given)):
            labels, probabilities = runtime.run(images, masks, probabilities=True)
            np.testing.assert_array_equal(probabilities[0, 0, :, 1], np.float32(expected))
            assert (labels.dtype, probabilities.dtype) == (np.uint8, np.float32)
            assert not labels.any()


@needs_arithmetic
def test_a_network_in_bfloat16_is_another_one_by_little(exported, exported_fast):
    images, masks = make_batch(2, 40, 56)

    expected = exported.run(images, masks, probabilities=True)
    found = exported_fast.run(images, masks, probabilities=True)

    shift = np.abs(found.probabilities - expected.probabilities).max()
    assert 1e-5 < shift < 0.25
    assert np.count_nonzero(found.labels != expected.labels) < masks.size / 20


@settings(max_examples=12)
@given(data=st.data())
def test_in_bfloat16_no_bit_depends_on_canvas_batch_and_window(exported_fast, data):
    images, masks = make_batch(3, 45, 61)
    top, left = (data.draw(st.integers(0, length - 1)) for length in (45, 61))
    keep = Window(
        top, left, data.draw(st.integers(1, 45 - top)), data.draw(st.integers(1, 61 - left))
    )
    below, right = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 40))
    alone = data.draw(st.integers(0, 2))
    pads = [(0, 0), (0, below), (0, right)]
    canvas = np.pad(images[alone : alone + 1], [*pads, (0, 0)], constant_values=7)
    mask = np.pad(masks[alone : alone + 1], pads)

    whole = exported_fast.run(images, masks, probabilities=True)
    padded = exported_fast.run(canvas, mask, probabilities=True)
    kept = exported_fast.run(canvas, mask, probabilities=True, keep=keep)

    for of_whole, of_padded, of_kept in zip(whole, padded, kept, strict=True):
        np.testing.assert_array_equal(of_padded[0, :45, :61], of_whole[alone])
        np.testing.assert_array_equal(of_kept[0], of_whole[alone][keep.slices])
    labels = exported_fast.run(canvas, mask, probabilities=False, keep=keep).labels
    np.testing.assert_array_equal(labels, kept.labels)


def test_an_error_of_a_model_in_bfloat16_is_told_as_in_float32(tmp_path):
    fearful = save(tmp_path, full=afraid_of_light(segment), labels=afraid_of_light(label))
    runtime = SavedModelRuntime(fearful).in_bfloat16()
    images, masks = make_batch()

    with pytest.raises(InferenceError, match="too bright"):
        runtime.run(images + 10, masks, probabilities=False)


def test_a_model_in_bfloat16_can_keep_a_window_if_it_can_in_float32(tmp_path, exported_fast):
    assert exported_fast.can_keep
    assert not SavedModelRuntime(save(tmp_path)).in_bfloat16().can_keep


def test_a_model_in_bfloat16_computes_no_strips(exported, exported_fast):
    assert exported.can_skip
    assert not exported_fast.can_skip


@pytest.fixture(scope="module")
def exported_fast(exported):
    return exported.in_bfloat16()
