"""Requests that are written oddly, but rightly: every protocol answers them as the usual ones."""

import base64
import json

import numpy as np
import pytest

from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

IMAGE = np.arange(63, dtype=np.uint8).reshape(7, 9) * 4
MASK = np.arange(63).reshape(7, 9) % 5 > 0
PNG = encode_image(IMAGE)
BOM = b"\xef\xbb\xbf"

TENSOR = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [1, 7, 9, 1],
    "data": IMAGE.ravel().tolist(),
}
JSON_BODIES = {
    "/v1/segment": {"image": IMAGE.tolist()},
    "/v1/preview": {"image": IMAGE.tolist()},
    "/v2/models/fake/infer": {"inputs": [TENSOR]},
    "/v1/models/fake:predict": {"instances": [IMAGE.tolist()]},
    "/v2/repository/index": {"ready": True},
}
EVERY_JSON = pytest.mark.parametrize(("path", "content"), JSON_BODIES.items())


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve(load_repository(root)) as client:
        yield client


def post_json(client, path, body, content_type="application/json", **headers):
    return client.post(path, content=body, headers={"Content-Type": content_type, **headers})


def strip(response):
    assert response.status_code == 200, response.text
    if response.headers["content-type"] != "application/json":
        return response.content
    content = response.json()
    if isinstance(content, dict):
        content.pop("timings_ms", None)
    return content


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/json ; charset=iso-8859-1",  # without a meaning (RFC 8259, section 11)
    ],
)
@EVERY_JSON
def test_json_may_begin_with_a_byte_order_mark_and_declare_a_charset(
    client, path, content, content_type
):
    body = json.dumps(content).encode()
    plain = strip(post_json(client, path, body))

    assert strip(post_json(client, path, BOM + body, content_type)) == plain
    assert strip(post_json(client, path, b"\r\n\t " + body + b"\r\n", content_type)) == plain


def test_the_mark_counts_in_the_length_of_the_json(client):
    tensor = {**TENSOR, "parameters": {"binary_data_size": 63}}
    del tensor["data"]
    text = BOM + json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    response = client.post("/v2/models/fake/infer", content=text + IMAGE.tobytes(), headers=headers)

    plain = strip(post_json(client, "/v2/models/fake/infer", json.dumps({"inputs": [TENSOR]})))
    assert strip(response) == plain


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@EVERY_JSON
def test_json_in_another_encoding_is_refused_by_name(client, path, content, encoding):
    response = post_json(client, path, json.dumps(content).encode(encoding))

    assert response.status_code == 400
    assert "the body must be JSON in UTF-8; it " in response.text


@EVERY_JSON
def test_json_with_a_name_twice_is_refused(client, path, content):
    name = next(iter(content))
    body = json.dumps(content)[:-1] + f', "{name}": {json.dumps(content[name])}}}'
    response = post_json(client, path, body)

    assert response.status_code == 400
    assert f"must have each name once; it has {name} twice" in response.text


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/preview"])
def test_a_parameter_twice_in_the_query_is_refused(client, path):
    response = client.post(f"{path}?nodata=0&nodata=255", content=PNG)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
    assert "the query must have each name once; it has nodata twice" in response.json()["detail"]


def make_form(*fields, before=b"", end=b"\r\n"):
    """Make a form as browsers do: name, file name and content of each field."""
    body = before
    for name, filename, content in fields:
        body += b'--cut\r\nContent-Disposition: form-data; name="%s"' % name.encode()
        if filename is not None:
            body += b'; filename="%s"\r\nContent-Type: application/octet-stream' % filename.encode()
        body += b"\r\n\r\n" + content + b"\r\n"
    return body + b"--cut--" + end


def post_form(client, path, body, content_type="multipart/form-data; boundary=cut"):
    return client.post(path, content=body, headers={"Content-Type": content_type})


IMAGE_FIELD = ("image", "a.png", PNG)
MASK_FIELD = ("mask", "m.png", encode_image(MASK))


@pytest.mark.parametrize(
    "body",
    [
        make_form(IMAGE_FIELD, MASK_FIELD, before=b"\r\n"),
        make_form(IMAGE_FIELD, MASK_FIELD, before=b"This is a form.\r\n", end=b" \r\nThat was it."),
        make_form(IMAGE_FIELD, MASK_FIELD).replace(b"--cut\r\n", b"--cut \t\r\n"),
        make_form(IMAGE_FIELD, MASK_FIELD).replace(b"Content-Disposition", b"content-disposition"),
        make_form(("nodata", None, b""), MASK_FIELD, ("model", None, b"fake"), IMAGE_FIELD),
    ],
    ids=["line before", "preamble and epilogue", "blanks", "lower case", "parameters"],
)
@pytest.mark.parametrize("path", ["/v1/segment", "/v1/preview"])
def test_forms_are_read_however_they_are_written(client, path, body):
    if path == "/v1/preview":
        body = body.replace(b'name="model"', b'name="version"').replace(b"fake", b"1")
    plain = strip(post_form(client, path, make_form(IMAGE_FIELD, MASK_FIELD)))

    assert strip(post_form(client, path, body)) == plain


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/preview"])
def test_a_mask_that_was_not_chosen_in_a_browser_is_left_out(client, path):
    plain = strip(post_form(client, path, make_form(IMAGE_FIELD)))

    assert strip(post_form(client, path, make_form(IMAGE_FIELD, ("mask", "", b"")))) == plain


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("image", "", b"")], "it has none"),
        ([("image", "", b""), MASK_FIELD], "it has mask"),
        ([("image", "", b""), ("mask", "", b""), ("model", None, b"fake")], "it has model"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/segment", "/v1/preview"])
def test_an_image_that_was_not_chosen_in_a_browser_is_missing(client, path, fields, found):
    response = post_form(client, path, make_form(*fields))

    assert (response.status_code, response.json()["code"]) == (400, "empty_body")
    assert response.json()["detail"] == f"the form must have a field image; {found}"


@pytest.mark.parametrize("field", ["image", "mask"])
def test_a_chosen_file_without_bytes_is_empty(client, field):
    fields = [IMAGE_FIELD, ("mask", "m.png", b"")] if field == "mask" else [("image", "a.png", b"")]
    response = post_form(client, "/v1/segment", make_form(*fields))

    assert (response.status_code, response.json()["code"]) == (400, "empty_body")
    assert f"{field} must be" in response.json()["detail"]


def test_a_form_whose_lines_end_with_lf_is_told_why(client):
    body = make_form(IMAGE_FIELD).replace(b"\r\n", b"\n")
    response = post_form(client, "/v1/segment", body)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
    assert "ends with LF, not CRLF" in response.json()["detail"]


def test_base64_in_rows_of_tensorflow_serving_is_read_however_it_is_written(client):
    encoded = base64.b64encode(PNG).decode()
    rows = [
        encoded,
        f"data:image/png;base64,{encoded}",
        encoded.rstrip("="),
        encoded[:40] + "\n" + encoded[40:],
    ]
    content = {"instances": [{"b64": row} for row in rows], "signature_name": "labels"}
    answer = client.post("/v1/models/fake:predict", json=content).json()["predictions"]

    assert answer == [answer[0]] * 4


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000 + "2"])
def test_a_header_length_of_thousands_of_digits_is_a_fault_of_the_request(client, length):
    response = post_json(
        client, "/v2/models/fake/infer", b"{}", **{"Inference-Header-Content-Length": length}
    )

    assert response.status_code == 400
    assert "Inference-Header-Content-Length must be a number" in response.json()["error"]


def test_a_content_length_with_thousands_of_zeros_in_front_is_read(client):
    headers = {"Content-Type": "image/png", "Content-Length": "0" * 5000 + str(len(PNG))}

    response = client.post("/v1/segment", content=PNG, headers=headers)

    assert response.status_code == 200, response.text
