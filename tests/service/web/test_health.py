import threading

import numpy as np

from service.engine.repository import Repository
from service.errors import InvalidGraphError
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve


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
        "models": [{"name": "fake", "version": "1", "state": "ready", "reason": ""}],
    }


def test_while_a_model_loads_the_service_answers_and_is_not_ready(tmp_path):
    loading, go = threading.Event(), threading.Event()

    def load(_):
        loading.set()
        assert go.wait(10)
        return FakeRuntime()

    with serve(Repository(make_repository_folder(tmp_path), load)) as client:
        assert loading.wait(10)
        ready = client.get("/readyz")
        refused = client.post(
            "/v1/segment", files={"image": encode_image(np.zeros((2, 2), np.uint8))}
        )
        go.set()

    assert ready.status_code == 503
    assert ready.json()["models"][0]["state"] == "loading"
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")


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
