import asyncio

from service.core.versions import VersionPolicy
from service.runtime.fake import FakeRuntime
from tests.support.apps import load_repository, make_repository_folder, serve
from tests.support.repositories import BROKEN, poll_twice, run_repository, write_version


class ReadsTheBatch(FakeRuntime):
    """Breaks the promise: darkens an image by how much of the whole batch is valid."""

    def run(self, images, masks, *, probabilities):
        return super().run(images * masks.mean(), masks, probabilities=probabilities)


def test_a_model_is_described_with_what_it_promises(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert (model["name"], model["version"], model["state"]) == ("fake", "1", "ready")
    assert model["image"] == {"channels": 1, "dtype": "uint8"}
    assert model["classes"][0] == {"id": 0, "name": "dark", "color": "#202020"}
    assert (model["total_stride"], model["receptive_radius"]) == (4, 2)
    assert model["limits"] == {"image_pixels": 4096 * 4096, "body_bytes": 224 * 1024 * 1024}
    assert model["contract"]["padding_invariant"] is True
    assert {key: model["contract"]["checks"][5][key] for key in ("name", "passed")} == {
        "name": "receptive radius",
        "passed": True,
    }


def test_a_model_that_breaks_the_contract_says_so(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: ReadsTheBatch())
    with serve(repository) as client:
        (model,) = client.get("/v1/models").json()["models"]

    assert model["contract"]["padding_invariant"] is False
    assert model["state"] == "ready"


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
