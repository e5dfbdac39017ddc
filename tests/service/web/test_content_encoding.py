"""Compressed bodies, on every route that takes a body."""

import gzip
import io
import json
import zlib

import numpy as np
import pytest

from service.listening.access import AccessControl
from service.listening.body_limits import BodyLimits
from service.listening.keys import KeyRing
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

IMAGE = np.arange(63, dtype=np.uint8).reshape(7, 9) * 4
LIMIT_BYTES = 60_000
ADMIN = "the-key-of-an-admin"

TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 7, 9, 1]}
BINARY = json.dumps(
    {"inputs": [{**TENSOR, "parameters": {"binary_data_size": IMAGE.size}}]}
).encode()
FORM = (
    b'--cut\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    + encode_image(IMAGE)
    + b"\r\n--cut--\r\n"
)
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=cut"}
JSON_TYPE = {"Content-Type": "application/json"}
NATIVE = json.dumps({"image": IMAGE.tolist()}).encode()

ROUTES = {
    "image": ("/v1/segment", encode_image(IMAGE), {"Content-Type": "image/png"}),
    "form": ("/v1/segment", FORM, FORM_TYPE),
    "JSON": ("/v1/segment", NATIVE, JSON_TYPE),
    "preview": ("/v1/preview", FORM, FORM_TYPE),
    "OIP": (
        "/v2/models/fake/infer",
        json.dumps({"inputs": [{**TENSOR, "data": IMAGE.ravel().tolist()}]}).encode(),
        JSON_TYPE,
    ),
    "OIP of a version, binary": (
        "/v2/models/fake/versions/1/infer",
        BINARY + IMAGE.tobytes(),
        # The length is that of the JSON before compression.
        {"Inference-Header-Content-Length": str(len(BINARY))},
    ),
    "TensorFlow Serving": (
        "/v1/models/fake:predict",
        json.dumps({"instances": [IMAGE.tolist()]}).encode(),
        JSON_TYPE,
    ),
    "index": ("/v2/repository/index", b'{"ready": true}', JSON_TYPE),
    "load": ("/v2/repository/models/fake/load", b'{"parameters": {}}', JSON_TYPE),
}
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)


def deflate_barely(data):
    work = zlib.compressobj(wbits=-15)
    return work.compress(data) + work.flush()


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate without zlib's header": deflate_barely,
    "GZIP": gzip.compress,
    "x-gzip": gzip.compress,
    "Deflate": zlib.compress,
    "identity": bytes,
    "gzip, identity": gzip.compress,
    ",gzip ,": gzip.compress,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    access = AccessControl(KeyRing(admin=ADMIN))
    with serve(load_repository(root), BodyLimits(LIMIT_BYTES), access_control=access) as client:
        client.headers["X-API-Key"] = ADMIN
        yield client


def strip_timings(response):
    if response.headers.get("content-type") != "application/json":
        return response.content
    content = response.json()
    if isinstance(content, dict):
        content.pop("timings_ms", None)
    return content


@pytest.mark.parametrize("coding", CODINGS)
@EVERY_ROUTE
def test_a_compressed_body_is_answered_as_the_same_body_plain(client, route, coding):
    path, body, headers = route
    plain = client.post(path, content=body, headers=headers)
    coded = client.post(
        path,
        content=CODINGS[coding](body),
        headers=headers
        | {"Content-Encoding": coding.split()[0] if "without" in coding else coding},
    )

    assert plain.status_code == 200, plain.text
    assert coded.status_code == 200, coded.text
    assert strip_timings(coded) == strip_timings(plain)


@pytest.mark.parametrize(
    ("coding", "named"),
    [
        ("br", "br"),
        ("zstd", "zstd"),
        ("compress", "compress"),
        ("gzip, br", "gzip, br"),
        ("gzip, gzip", "gzip, gzip"),
        ("x-gzip,identity,DEFLATE", "gzip, deflate"),
    ],
)
@EVERY_ROUTE
def test_another_coding_is_refused_by_name_with_those_that_are_accepted(
    client, route, coding, named
):
    path, body, headers = route
    response = client.post(path, content=body, headers=headers | {"Content-Encoding": coding})

    assert response.status_code == 415
    message = f"Content-Encoding must be one of gzip, deflate; it is {named}"
    assert message in (response.json().get("detail"), response.json().get("error"))
    assert response.headers["accept-encoding"] == "gzip, deflate"


@EVERY_ROUTE
def test_codings_in_two_headers_are_stacked_too(client, route):
    path, body, headers = route
    twice = [*headers.items(), ("Content-Encoding", "gzip"), ("Content-Encoding", "br")]
    response = client.post(path, content=gzip.compress(body), headers=twice)

    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip, deflate")


def test_a_format_that_is_not_read_says_nothing_of_codings(client):
    """RFC 9110, section 12.5.3: a 415 for other reasons must not have the header."""
    gif = gzip.compress(encode_image(IMAGE, "GIF"))
    response = client.post("/v1/segment", content=gif, headers={"Content-Encoding": "gzip"})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert "accept-encoding" not in response.headers


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, deflate_barely])
@EVERY_ROUTE
def test_a_bomb_is_too_large(client, route, compress):
    path, _, headers = route
    coding = "gzip" if compress is gzip.compress else "deflate"
    bomb = compress(bytes(20_000_000))
    assert len(bomb) < LIMIT_BYTES
    response = client.post(path, content=bomb, headers=headers | {"Content-Encoding": coding})

    assert response.status_code == 413
    assert "the decompressed body must have at most" in response.text


@pytest.mark.parametrize(
    ("coding", "spoil"),
    [
        ("gzip", bytes),
        ("gzip", zlib.compress),
        ("gzip", lambda body: gzip.compress(body)[:-9]),
        ("gzip", lambda body: gzip.compress(body) + b"more"),
        ("gzip", lambda _: b""),
        ("deflate", lambda body: zlib.compress(body)[:-5]),
        ("deflate", lambda body: deflate_barely(body)[:-1]),
        ("deflate", gzip.compress),
    ],
)
@EVERY_ROUTE
def test_a_body_that_is_not_of_its_coding_is_malformed(client, route, coding, spoil):
    path, body, headers = route
    headers = headers | {"Content-Encoding": coding}
    response = client.post(path, content=spoil(body), headers=headers)

    assert response.status_code == 400, response.text
    assert f"{coding}" in response.text


def test_an_answer_of_a_compressed_request_is_compressed_only_on_request(client):
    headers = {"Content-Encoding": "gzip", "Accept": "application/x-npy"}
    body = gzip.compress(encode_image(np.zeros((60, 60), np.uint8)))
    plain = client.post(
        "/v1/segment", content=body, headers=headers | {"Accept-Encoding": "identity"}
    )
    coded = client.post("/v1/segment", content=body, headers=headers | {"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert coded.headers["content-encoding"] == "gzip"
    assert np.array_equal(np.load(io.BytesIO(plain.content)), np.load(io.BytesIO(coded.content)))
