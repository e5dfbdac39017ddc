import asyncio
import threading

import numpy as np

from lacuna.errors import InvalidGraphError
from service.core.batching import BatchPolicy
from service.engine.lifecycle.repository import ModelRepository
from service.engine.lifecycle.warmup import WarmupPolicy
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve
from tests.support.repositories import BROKEN, Unwarmed, poll_twice, run_repository, write_version


def test_a_process_that_answers_is_alive_even_without_models(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503


def test_a_service_whose_models_are_loaded_is_ready(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "models": [{"name": "fake", "version": "1", "state": "ready", "reason": "", "warmed": 1.0}],
    }


def test_while_a_model_loads_the_service_answers_and_is_not_ready(tmp_path):
    loading, go = threading.Event(), threading.Event()

    def load(_):
        loading.set()
        assert go.wait(10)
        return FakeRuntime()

    with serve(ModelRepository(make_repository_folder(tmp_path), load)) as client:
        assert loading.wait(10)
        ready = client.get("/readyz")
        refused = client.post(
            "/v1/segment", files={"image": encode_image(np.zeros((2, 2), np.uint8))}
        )
        go.set()

    assert ready.status_code == 503
    assert ready.json()["models"][0]["state"] == "loading"
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert int(ready.headers["retry-after"]) >= 1
    assert int(refused.headers["retry-after"]) >= 1


def test_a_model_that_failed_keeps_the_service_from_being_ready_and_says_why(tmp_path):
    def load(folder):
        if folder.parent.name == "bad":
            raise InvalidGraphError("saved_model.pb must be one that loads")
        return FakeRuntime()

    root = make_repository_folder(tmp_path, "bad/1", "good/1")
    with serve(load_repository(root, load)) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert [(model["state"], model["reason"]) for model in response.json()["models"]] == [
        ("failed", "saved_model.pb must be one that loads"),
        ("ready", ""),
    ]


def test_a_broken_new_version_is_told_of_and_the_service_stays_ready(tmp_path):
    write_version(tmp_path, "m/1")
    repository = run_repository(tmp_path)
    write_version(tmp_path, "m/2", BROKEN)
    asyncio.run(poll_twice(repository))

    with serve(repository) as client:
        response = client.get("/readyz")

    assert response.status_code == 200
    assert [
        (model["version"], model["state"], model["reason"]) for model in response.json()["models"]
    ] == [("1", "ready", ""), ("2", "failed", "saved_model.pb must be one that loads")]


def test_a_model_that_was_unloaded_by_call_is_not_waited_for(tmp_path):
    write_version(tmp_path, "a/1")
    write_version(tmp_path, "b/1")
    repository = run_repository(tmp_path)
    asyncio.run(repository.unload("a"))

    with serve(repository) as client:
        response = client.get("/readyz")

    assert response.status_code == 200
    assert [model["state"] for model in response.json()["models"]] == ["unloaded", "ready"]


def test_while_a_model_warms_the_service_tells_how_far_it_is(tmp_path):
    runtime = Unwarmed()
    repository = ModelRepository(
        make_repository_folder(tmp_path),
        lambda _: runtime,
        warmup=WarmupPolicy(1, BatchPolicy(), 64, 64),
    )

    with serve(repository) as client:
        assert runtime.begun.wait(30)
        response = client.get("/readyz")
        runtime.go.set()

    (model,) = response.json()["models"]
    assert response.status_code == 503
    assert model["state"] == "warming"
    assert 0 < model["warmed"] < 1
