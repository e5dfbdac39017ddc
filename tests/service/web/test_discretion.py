"""No key and no pixel gets into a log, and no exception's words into an answer."""

import json
import logging
from urllib.parse import quote

import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.logs import TextFormatter
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


FORGED = "\n12:00:00 INFO    request status=200\x1b[2J\x9b2J\u2028\u202e"


def forge_lines(client, text):
    quoted = quote(text)
    headers = {"X-API-Key": KEY, "X-Request-ID": text.encode(), "User-Agent": text.encode()}
    yield client.get(f"/v1/{quoted}", headers=headers)
    yield client.post(f"/v1/models/{quoted}:predict", content=b"{}", headers=headers)
    yield client.post(
        f"/v2/models/{quoted}/versions/{quoted}/infer", content=b"{}", headers=headers
    )
    yield client.post("/v1/segment", params={"model": text}, content=b"x", headers=headers)
    files = {"image": (text, b"x", "image/png")}
    yield client.post("/v1/segment", params={"nodata": text}, files=files, headers=headers)
    admin = headers | {"X-API-Key": ADMIN}
    yield client.post(f"/v2/repository/models/{quoted}/load", headers=admin)


def test_nothing_in_a_request_forges_a_line_of_the_log(client, caplog):
    with caplog.at_level(logging.DEBUG):
        answers = list(forge_lines(client, FORGED))

    formatter = TextFormatter()
    lines = [formatter.format(record) for record in caplog.records if record.name != "httpx2"]
    assert all(400 <= answer.status_code < 500 for answer in answers)
    assert len([line for line in lines if " request " in line]) == len(answers)
    assert [line for line in lines if not line.isprintable()] == []


def test_a_requests_line_tells_whose_key_it_came_with(client, caplog):
    with caplog.at_level(logging.INFO):
        client.get("/v1/models", headers={"X-API-Key": KEY})

    (record,) = [record for record in caplog.records if record.message == "request"]
    assert record.key == KeyRing([KEY]).find(KEY.encode()).name
