"""The shipped model `groundcover`, over HTTP: good, small, and true to the promise to the bit."""

import asyncio
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lacuna.raster.npy import write_npy
from model.data.mosaics import MosaicConfig, iterate_mosaics, measure_mosaics
from model.data.textures import load_textures
from model.metrics import class_iou, confusion_matrix
from model.training.mosaics import PRESETS
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import read_manifest
from service.runtime.saved_model import SavedModelRuntime
from tests.support.apps import load_repository, serve
from tests.support.strategies import fills, scenes, seeds

DEMO = DEMO_REPOSITORY / "groundcover" / "1"
SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.png") if not path.stem.endswith("-mask"))


@pytest.fixture(scope="module")
def client():
    with serve(load_repository(DEMO_REPOSITORY, SavedModelRuntime, ("groundcover",))) as client:
        yield client


def segment(client, image, mask):
    response = client.post(
        "/v1/segment",
        files={"image": write_npy(image), "mask": write_npy(mask)},
        headers={"Accept": "application/zip"},
    )
    assert response.status_code == 200, response.text
    content = np.load(io.BytesIO(response.content))
    return content["labels"], content["probabilities"]


def assert_same(actual, expected):
    assert np.count_nonzero(actual[0] != expected[0]) == 0
    assert np.array_equal(actual[1], expected[1])


def test_the_model_has_at_most_4_megabytes():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 4_000_000


def test_the_manifest_tells_what_the_model_scored():
    scores = read_manifest(DEMO).scores["mean_iou"]

    assert scores["missing_0"] > 0.85
    assert scores["missing_0"] > scores["missing_30"] > scores["missing_60"] > 0.8


def test_the_manifest_tells_the_values_of_the_mosaics_that_it_was_trained_on():
    manifest, preset = read_manifest(DEMO), PRESETS["groundcover"]

    stated = manifest.image.channel_statistics
    assert stated is not None
    assert manifest.training["seed"] == preset.seed
    for found, expected in zip(stated, measure_mosaics(preset.mosaics, preset.seed), strict=True):
        np.testing.assert_allclose(np.hstack(found), np.hstack(expected), rtol=1e-3)


def test_the_model_is_as_good_as_its_manifest_says():
    runtime = SavedModelRuntime(DEMO)
    drawing = MosaicConfig(size=(160, 160), zoom=(1.0, 1.0), complete=1.0)
    drawn = iterate_mosaics(load_textures("test"), drawing, seed=11)
    confusion = np.zeros((3, 3), np.int64)
    for _ in range(40):
        image, mask, labels = next(drawn)
        answer = runtime.run(image[None].astype(np.float32), mask[None], probabilities=False)
        confusion += confusion_matrix(labels, answer.labels[0], 3)

    stated = read_manifest(DEMO).scores["mean_iou"]["missing_0"]
    assert class_iou(confusion).mean() == pytest.approx(stated, abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_shows_every_class_and_labels_valid_pixels_alone(client, name):
    response = client.post(
        "/v1/segment",
        files={
            "image": (SAMPLES / f"{name}.png").read_bytes(),
            "mask": (SAMPLES / f"{name}-mask.png").read_bytes(),
        },
        headers={"Accept": "application/x-npy"},
    )

    labels = np.load(io.BytesIO(response.content))
    valid = np.asarray(Image.open(SAMPLES / f"{name}-mask.png"))
    assert np.array_equal(labels != 255, valid)
    assert set(np.unique(labels[valid])) == {0, 1, 2}


@pytest.mark.slow
def test_in_bfloat16_samples_have_the_labels_of_float32_but_for_those_that_the_server_counts(
    client,
):
    policy = RepositoryPolicy(precision="bfloat16")
    repository = ModelRepository(
        DEMO_REPOSITORY, SavedModelRuntime, ("groundcover",), policy=policy
    )
    asyncio.run(repository.load_all())
    samples = [
        (
            np.asarray(Image.open(SAMPLES / f"{name}.png").convert("RGB")),
            np.asarray(Image.open(SAMPLES / f"{name}-mask.png")) > 0,
        )
        for name in NAMES
    ]

    with serve(repository) as fast:
        (model,) = fast.get("/v1/models").json()["models"]
        found = [segment(fast, *sample) for sample in samples]
    expected = [segment(client, *sample) for sample in samples]

    assert model["precision"]["used"] == "bfloat16"
    counted = model["precision"]["agreement"][1]
    assert counted["pixels"] == sum(np.count_nonzero(mask) for _, mask in samples)
    assert counted["differing"] == sum(
        np.count_nonzero(labels != exact)
        for (labels, _), (exact, _) in zip(found, expected, strict=True)
    )
    assert counted["differing"] <= counted["pixels"] / 1000


def test_a_grey_photograph_is_taken_for_colour(client):
    grey = Image.open(SAMPLES / "clouds.png").convert("L")
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")

    response = client.post("/v1/segment", content=buffer.getvalue())

    assert response.status_code == 200


@pytest.mark.parametrize("channels", [2, 5])
def test_another_number_of_channels_is_refused(client, channels):
    image = write_npy(np.zeros((9, 9, channels), np.uint8))

    problem = client.post("/v1/segment", content=image).json()

    assert problem["code"] == "channel_mismatch"
    rule = f"model groundcover takes 3 channels; the image has {channels}"
    assert problem["detail"].startswith(rule)


def test_16_bits_are_answered_as_8_are(client):
    image = np.asarray(Image.open(SAMPLES / "stripes.png").convert("L"))
    answers = []
    for picture in (image, image.astype(np.uint16) * 257):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        answers.append(client.post("/v1/segment", content=buffer.getvalue()).json()["classes"])

    assert json.dumps(answers[0]) == json.dumps(answers[1])


@settings(max_examples=40)
@given(scenes(), st.integers(0, 70), st.integers(0, 70), fills, seeds)
def test_neither_canvas_nor_fill_changes_a_bit_over_http(client, scene, bottom, right, fill, seed):
    height, width = scene.mask.shape
    rng = np.random.default_rng(seed)
    canvas = rng.normal(0, 1e4, (height + bottom, width + right, 3)).astype(np.float32)
    canvas[:height, :width] = scene.filled(fill)
    mask = np.zeros(canvas.shape[:2], bool)
    mask[:height, :width] = scene.mask

    labels, probabilities = segment(client, canvas, mask)

    assert_same(
        (labels[:height, :width], probabilities[:height, :width]),
        segment(client, scene.filled(0), scene.mask),
    )
    assert (labels[~mask] == 255).all()


@settings(max_examples=20)
@given(scenes(max_side=64), st.integers(0, 5), st.integers(0, 5))
def test_moving_an_image_by_whole_cells_moves_its_answer(client, scene, down, across):
    top, left = 8 * down, 8 * across
    image = np.pad(scene.filled(0), [(top, 0), (left, 0), (0, 0)])
    mask = np.pad(scene.mask, [(top, 0), (left, 0)])

    labels, probabilities = segment(client, image, mask)

    assert_same(
        (labels[top:, left:], probabilities[top:, left:]),
        segment(client, scene.filled(0), scene.mask),
    )
