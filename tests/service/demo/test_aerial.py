"""The shipped model `aerial` beside the other one, over HTTP."""

import io

import numpy as np
import pytest
from PIL import Image

from lacuna.raster.npy import write_npy
from service.engine.lifecycle.calibration import CalibrationStore
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.local.loading import load_saved_model
from service.platforms import DEMO_REPOSITORY, find_demo_model
from service.variables import find_cache_folder
from tests.support.apps import serve
from tests.support.waiting import wait_until

FOLDER = DEMO_REPOSITORY / "aerial" / "1"
SAMPLES = DEMO_REPOSITORY.parent / "samples" / "aerial"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.png") if not path.stem.endswith("-mask"))


@pytest.fixture(scope="module")
def client():
    policy = RepositoryPolicy(default_model=find_demo_model(DEMO_REPOSITORY))
    store = CalibrationStore(find_cache_folder())
    repository = ModelRepository(DEMO_REPOSITORY, load_saved_model, policy=policy, store=store)
    with serve(repository) as client:
        assert wait_until(lambda: client.get("/readyz").status_code == 200, 120)
        yield client


def read_sample(name):
    with (
        Image.open(SAMPLES / f"{name}.png") as image,
        Image.open(SAMPLES / f"{name}-mask.png") as mask,
    ):
        return np.asarray(image.convert("RGB")), np.asarray(mask) > 0


def segment(client, image, mask, accept="application/x-npy"):
    files = {"image": write_npy(image), "mask": write_npy(mask)}
    response = client.post("/v1/segment", files=files, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    return response


def test_both_models_are_served_and_this_one_is_the_default(client):
    models = client.get("/v1/models").json()["models"]

    assert {model["name"]: model["default"] for model in models} == {
        "aerial": True,
        "groundcover": False,
    }


def test_it_keeps_its_promise(client):
    found = {model["name"]: model for model in client.get("/v1/models").json()["models"]}

    assert found["aerial"]["contract"]["padding_invariant"] is True
    assert [entry["name"] for entry in found["aerial"]["classes"]] == [
        "building", "land", "road", "vegetation", "water",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_its_samples_without_being_named(client, name):
    image, valid = read_sample(name)

    answer = segment(client, image, valid, "application/json").json()

    assert answer["model"]["name"] == "aerial"
    assert answer["valid"]["pixels"] == valid.sum()


def test_what_is_under_the_mask_changes_no_label(client):
    image, valid = read_sample("clouds")
    noise = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    changed = np.where(valid[..., None], image, noise)

    first, second = (
        np.load(io.BytesIO(segment(client, each, valid).content)) for each in (image, changed)
    )

    assert np.array_equal(first == 255, ~valid)
    assert np.count_nonzero(first != second) == 0


def test_the_model_has_at_most_10_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 10_000_000
