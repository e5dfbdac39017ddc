import asyncio

import pytest

from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from tests.support.apps import load_fake, load_repository, make_repository_folder, serve
from tests.support.plain import Plain
from tests.support.repositories import BROKEN, poll_twice, run_repository, write_version
from tests.support.runtimes import Darkening, InTwoPrecisions, ReadsTheBatch


def test_a_model_is_described_with_what_it_promises(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert (model["name"], model["version"], model["state"]) == ("fake", "1", "ready")
    assert model["image"] == {"channels": 1, "dtype": "uint8"}
    assert model["classes"][0] == {"id": 0, "name": "dark", "color": "#202020"}
    assert (model["total_stride"], model["receptive_radius"]) == (4, 2)
    assert model["limits"] == {"image_pixels": 4096 * 4096, "body_bytes": 224 * 1024 * 1024}
    assert model["contract"]["padding_invariant"] is True
    assert model["contract"]["seams"] is None
    assert model["contract"]["served"] == "May be padded, batched and tiled: no answer changes."
    assert {key: model["contract"]["checks"][5][key] for key in ("name", "passed")} == {
        "name": "receptive radius",
        "passed": True,
    }


@pytest.mark.parametrize(("name", "expected"), [(None, []), ("b", ["b/1", "b/2"])])
def test_the_model_of_requests_that_name_none_is_marked(tmp_path, name, expected):
    root = make_repository_folder(tmp_path, "a/1", "b/1", "b/2")
    policy = RepositoryPolicy(versions=VersionPolicy(None), default_model=name)
    repository = ModelRepository(root, load_fake, policy=policy)
    asyncio.run(repository.load_all())
    with serve(repository) as client:
        models = client.get("/v1/models").json()["models"]

    marked = [f"{model['name']}/{model['version']}" for model in models if model["default"]]
    assert marked == expected


def test_a_model_that_breaks_the_contract_says_so(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: ReadsTheBatch())
    with serve(repository) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["contract"]["padding_invariant"] is False
    assert model["contract"]["served"].startswith("Served one image at a time, unpadded")
    assert model["state"] == "ready"


def test_a_model_in_float32_agrees_with_itself(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["precision"] == {"used": "float32", "agreement": []}


def test_a_model_in_bfloat16_tells_how_many_labels_that_changes(tmp_path):
    policy = RepositoryPolicy(precision="auto", model_precisions={"fake": "bfloat16"})
    repository = ModelRepository(
        make_repository_folder(tmp_path), lambda _: InTwoPrecisions(Darkening()), policy=policy
    )
    asyncio.run(repository.load_all())
    with serve(repository) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["precision"]["used"] == "bfloat16"
    (random,) = model["precision"]["agreement"]
    assert random.keys() == {"images", "pixels", "differing", "shift"}
    assert random["images"] == "random"
    assert 0 < random["differing"] < random["pixels"]


def test_what_seams_change_is_measured_and_told(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: Plain())
    with serve(repository) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["contract"]["seams"] == {
        "overlap": 8,
        "differing": 0,
        "pixels": 47 * 36,
        "shift": 0.0,
    }
    assert "tiles that overlap by 8 pixels, where 0 of" in model["contract"]["served"]


def test_a_model_that_is_not_there_is_listed_with_the_reason(tmp_path):
    with serve(load_repository(tmp_path, names=("ghost",))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert (model["state"], model["reason"]) == (
        "failed",
        "the repository has no version of this model; ghost does not exist",
    )


def list_models(repository):
    with serve(repository) as client:
        return client.get("/v1/models").json()["models"]


def test_each_version_is_listed_with_its_labels(tmp_path):
    for version in (1, 2):
        write_version(tmp_path, f"m/{version}")
    repository = run_repository(
        tmp_path, versions=VersionPolicy(None), labels={"m": {"stable": "1"}}
    )

    models = list_models(repository)

    assert [(model["version"], model["labels"]) for model in models] == [
        ("1", ["stable"]),
        ("2", ["latest"]),
    ]
    assert all("classes" in model for model in models)


def test_each_model_is_listed_with_its_own_limits(tmp_path):
    root = make_repository_folder(tmp_path, "a/1", "b/1")
    with serve(load_repository(root), model_pixels={"b": 1000}) as client:
        models = client.get("/v1/models").json()["models"]

    assert {model["name"]: model["limits"]["image_pixels"] for model in models} == {
        "a": 4096 * 4096,
        "b": 1000,
    }


def test_a_broken_new_version_is_listed_with_its_reason_beside_the_old_one(tmp_path):
    write_version(tmp_path, "m/1")
    repository = run_repository(tmp_path)
    write_version(tmp_path, "m/2", BROKEN)
    asyncio.run(poll_twice(repository))

    old, new = list_models(repository)

    assert (old["state"], old["labels"]) == ("ready", ["latest", "stable"])
    assert (new["state"], new["labels"]) == ("failed", [])
    assert new["reason"] == "saved_model.pb must be one that loads"
    assert "classes" not in new
