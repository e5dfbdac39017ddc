"""No key and no pixel gets into a log, and no exception's words into an answer."""

import json
import logging

import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.web.access import AccessControl
from service.web.keys import KeyRing
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

KEY, WRONG, ADMIN = "a-client-key-0001", "a-wrong-key-000001", "the-key-of-an-admin"
PIXEL = 123456.71875  # exact in float32, and nothing else in a log looks like it
FLOATS = np.full((4, 4), PIXEL, np.float32)
TEXT = "0123456789secretword"

BODIES = {
    "an array": (write_npy(FLOATS), "application/x-npy"),
    "a picture": (encode_image(np.full((4, 4), 71, np.uint8)), "image/png"),
    "JSON": (json.dumps({"image": FLOATS.tolist()}).encode(), "application/json"),
    "ragged JSON": (json.dumps({"image": [[PIXEL], [PIXEL] * 2]}).encode(), "application/json"),
    "words for pixels": (json.dumps({"image": [[TEXT]]}).encode(), "application/json"),
    "a bad mask": (json.dumps({"image": [[1]], "mask": [[PIXEL, 1]]}).encode(), "application/json"),
    "open JSON": (f'{{"image": [[{PIXEL}'.encode(), "application/json"),
    "no image": (TEXT.encode() * 10, "image/png"),
    "a broken form": (TEXT.encode(), "multipart/form-data; boundary=x"),
}


@pytest.fixture
def client(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, access_control=AccessControl(KeyRing([KEY], ADMIN))) as client:
        yield client


def ask_everything(client, content, kind):
    for key in (KEY, WRONG):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
        for path in ("/v1/segment", "/v1/preview"):
            yield client.post(path, content=content, headers=headers)
        for path in ("/v1/models/fake:predict", "/v2/models/fake/infer"):
            yield client.post(path, content=content, headers=headers)


@pytest.mark.parametrize("name", BODIES)
def test_neither_keys_nor_what_was_sent_are_logged(client, caplog, name):
    with caplog.at_level(logging.DEBUG):
        answers = list(ask_everything(client, *BODIES[name]))
        client.post("/v2/repository/models/fake/load", headers={"X-API-Key": ADMIN})

    logged = "\n".join(str(vars(record)) for record in caplog.records if record.name != "httpx2")
    assert len([record for record in caplog.records if record.message == "request"]) == 9
    assert 500 not in {answer.status_code for answer in answers}
    for secret in (KEY, WRONG, ADMIN, str(PIXEL), TEXT):
        assert secret not in logged


def test_a_requests_line_tells_whose_key_it_came_with(client, caplog):
    with caplog.at_level(logging.INFO):
        client.get("/v1/models", headers={"X-API-Key": KEY})

    (record,) = [record for record in caplog.records if record.message == "request"]
    assert record.key == KeyRing([KEY]).find(KEY.encode()).name
