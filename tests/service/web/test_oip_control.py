from contextlib import contextmanager

import numpy as np
import pytest

from lacuna.errors import InvalidGraphError
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.runtime.fake import FakeRuntime
from tests.support.apps import load_repository, make_repository_folder, serve

CLIENT, ADMIN = "a-key-of-a-client", "the-key-of-an-admin"
BROKEN = "no graph"


def load(folder):
    if BROKEN in [entry.name for entry in folder.iterdir()]:
        raise InvalidGraphError("saved_model.pb must be one that loads")
    return FakeRuntime()


@contextmanager
def serve_controlled(root, keys):
    repository = load_repository(make_repository_folder(root), load)
    with serve(repository, access_control=AccessControl(keys)) as client:
        yield client


@pytest.fixture
def client(tmp_path):
    with serve_controlled(tmp_path, KeyRing(admin=ADMIN)) as client:
        client.headers["Authorization"] = f"Bearer {ADMIN}"
        yield client


def control(client, action, model="fake", **content):
    return client.post(f"/v2/repository/models/{model}/{action}", json=content)


def infer(client):
    data = np.zeros(4, int).tolist()
    tensor = {"name": "image", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": data}
    return client.post("/v2/models/fake/infer", json={"inputs": [tensor]})


def list_states(client):
    return [
        (entry["version"], entry["state"]) for entry in client.post("/v2/repository/index").json()
    ]


def test_a_model_is_unloaded_and_loaded_again(client):
    assert infer(client).status_code == 200

    assert control(client, "unload", parameters={"unload_dependents": False}).status_code == 200
    assert infer(client).status_code == 503
    assert client.get("/v2/models/fake/ready").status_code == 503
    assert ("1", "READY") not in list_states(client)

    assert control(client, "load").status_code == 200
    assert infer(client).status_code == 200
    assert list_states(client) == [("1", "READY")]


def test_an_empty_body_will_do(client):
    assert client.post("/v2/repository/models/fake/load").status_code == 200


def test_loading_takes_what_is_on_the_disk_by_now(client, tmp_path):
    (tmp_path / "fake" / "2").mkdir()
    assert control(client, "load").status_code == 200

    assert infer(client).json()["model_version"] == "2"


def test_a_version_that_cannot_be_served_is_said_and_the_other_goes_on(client, tmp_path):
    (tmp_path / "fake" / "2" / BROKEN).mkdir(parents=True)
    response = control(client, "load")

    assert (response.status_code, list(response.json())) == (500, ["error"])
    assert "saved_model.pb must be one that loads" in response.json()["error"]
    assert infer(client).json()["model_version"] == "1"
    assert ("2", "UNAVAILABLE") in list_states(client)


@pytest.mark.parametrize("action", ["load", "unload"])
def test_an_unknown_model_is_refused(client, action):
    response = control(client, action, "other")

    assert (response.status_code, list(response.json())) == (404, ["error"])


def test_a_load_says_what_the_folder_holds_instead_of_a_version(client, tmp_path):
    (tmp_path / "other" / "0001").mkdir(parents=True)

    response = control(client, "load", "other")

    assert response.status_code == 404
    assert response.json()["error"] == (
        "the model must be in the repository; "
        "other/0001 is no version, which has no leading zeros: name it 1"
    )


def test_a_load_says_that_there_is_no_such_folder(client):
    assert control(client, "load", "other").json()["error"] == (
        "the model must be in the repository; other does not exist"
    )


def test_a_model_that_is_brought_along_is_refused(client):
    response = control(client, "load", parameters={"config": "{}"})

    assert response.status_code == 400
    assert "must have no parameters that change the model; config came" in response.json()["error"]


@pytest.mark.parametrize("action", ["load", "unload"])
@pytest.mark.parametrize("keys", [KeyRing(), KeyRing([CLIENT])])
def test_without_an_admin_key_nobody_controls_anything(tmp_path, action, keys):
    with serve_controlled(tmp_path, keys) as client:
        client.headers["X-API-Key"] = CLIENT
        response = control(client, action)

        assert (response.status_code, list(response.json())) == (403, ["error"])
        assert infer(client).status_code == 200


@pytest.mark.parametrize("action", ["load", "unload"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-API-Key": "x" * 20}, 401), ({"X-API-Key": CLIENT}, 403)],
)
def test_control_wants_the_admin_key_and_no_other(tmp_path, action, headers, status):
    with serve_controlled(tmp_path, KeyRing([CLIENT], ADMIN)) as client:
        response = client.post(f"/v2/repository/models/fake/{action}", headers=headers)

        assert (response.status_code, list(response.json())) == (status, ["error"])
        assert ("www-authenticate" in response.headers) is (status == 401)
        client.headers["X-API-Key"] = CLIENT
        assert infer(client).status_code == 200


def test_where_only_the_admin_has_a_key_requests_need_none(tmp_path):
    with serve_controlled(tmp_path, KeyRing(admin=ADMIN)) as client:
        assert infer(client).status_code == 200
        assert control(client, "unload").status_code == 401
