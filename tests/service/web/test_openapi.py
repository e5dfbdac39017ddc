"""What the OpenAPI document describes, asked in every way that it allows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lacuna.errors import (
    ForbiddenError,
    InferenceError,
    RequestError,
    UnavailableError,
    UnknownRequestError,
)
from lacuna.outputs import MEDIA_TYPES
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.listening.statuses import STATUSES
from service.web.access import OPEN_PATHS
from service.web.app import make_app
from service.web.services import VertexRoutes
from tests.support.apps import (
    encode_image,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.geotiffs import geotiff_file
from tests.support.images import noise
from tests.support.live import serve_live
from tests.support.openapi import check_value, list_examples, list_operations

ROOT = Path(__file__).parents[3]
CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
NAMES = {  # those of the examples
    "name": "groundcover",
    "version": "1",
    "label": "latest",
    "request_id": "7c0e9a52f1d84b36",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "groundcover/1")
    return load_repository(root)


@pytest.fixture(scope="module")
def client(repository):
    with serve(repository, vertex_routes=VertexRoutes("/vertex/health", "/vertex/go")) as client:
        yield client


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "groundcover/1")
    app = make_app(make_services(load_repository(root)))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    return [found.ok() for found in schema.get_all_operations()]


def test_every_operation_answers_as_it_is_described_and_never_fails(operations):
    assert len(operations) > 30

    for operation in operations:
        ask_in_many_ways(operation)


def ask_in_many_ways(operation):
    @settings(max_examples=4, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data):
        case = data.draw(operation.as_strategy())
        for name in case.path_parameters or {}:
            if data.draw(st.integers(0, 3)):
                case.path_parameters[name] = NAMES[name]
        response = case.call()
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CHECKS)

    check()


@pytest.mark.slow
def test_schemathesis_finds_no_fault(repository, tmp_path):
    # What it would find besides is on purpose: bytes that are no image are refused, a deadline of
    # nothing is 504, and values that are empty count as missing.
    left_out = "positive_data_acceptance,not_a_server_error,negative_data_rejection"
    command = [sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--max-time=20"]
    command += ["--phases=examples,coverage,fuzzing", f"--exclude-checks={left_out}"]
    command += ["--continue-on-failure", "--generation-deterministic", "--max-failures=20"]
    with serve_live(repository) as address:
        done = subprocess.run(
            [*command, f"http://{address}/openapi.json"],
            cwd=tmp_path,
            env=os.environ
            | {"SCHEMATHESIS_HOOKS": "tests.support.openapi", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", done.stdout)
    assert tested
    assert tested[1] == tested[2]


def test_every_operation_has_a_name_for_a_method_and_says_what_it_does(document):
    found = list(list_operations(document))
    names = [each.operation["operationId"] for each in found]
    tags = {tag["name"] for tag in document["tags"]}

    assert len(set(names)) == len(names) > 35
    for each in found:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", each.operation["operationId"])
        assert each.operation["summary"]
        assert set(each.operation["tags"]) <= tags
        places = re.findall(r"{(\w+)}", each.path)
        given = each.operation.get("parameters", [])
        assert sorted(places) == sorted(p["name"] for p in given if p["in"] == "path")
        assert all(parameter["description"] for parameter in given)
    assert {tag for each in found for tag in each.operation["tags"]} == tags


def test_nothing_is_referred_to_that_is_not_there_and_nothing_is_there_for_nobody(document):
    references = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(document)))
    keys = {("securitySchemes", name) for name in document["components"]["securitySchemes"]}
    components = {(kind, name) for kind, named in document["components"].items() for name in named}

    assert references == components - keys
    needed = [scheme for each in list_operations(document) for scheme in each.operation["security"]]
    assert {("securitySchemes", name) for scheme in needed for name in scheme} == keys


def test_every_member_of_a_schema_is_described(document):
    for name, schema in document["components"]["schemas"].items():
        for member, described in schema.get("properties", {}).items():
            assert described.get("description"), (name, member)


def test_every_example_follows_its_schema(document):
    count = 0
    for each in list_operations(document):
        contents = [each.operation.get("requestBody", {})]
        contents += each.operation["responses"].values()
        for content in contents:
            for media in content.get("content", {}).values():
                for example in list_examples(media):
                    check_value(document, media["schema"], example)
                    count += 1
    assert count > 200


def test_every_example_of_a_request_is_answered_as_described(client, document):
    asked = set()
    image = encode_image(noise(4, 5))
    client.post("/v1/segment", content=image, headers={"x-request-id": NAMES["request_id"]})
    for method, path, operation in list_operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        for example in list_examples(body) if body else [None]:
            url = path.format(**NAMES)
            response = client.request(method, url, **({} if body is None else {"json": example}))
            if response.status_code == 200:
                kind = response.headers["content-type"].partition(";")[0]
                described = operation["responses"]["200"]["content"][kind]["schema"]
                if kind == "application/json":
                    check_value(document, described, response.json())
                asked.add(operation["operationId"])
    left = {each.operation["operationId"] for each in list_operations(document)} - asked

    assert left == {"preview", "load_model", "unload_model"}  # files only; the admin key


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_every_type_of_answer_is_described(client, document, media_type):
    described = document["paths"]["/v1/segment"]["post"]["responses"]["200"]
    response = client.post(
        "/v1/segment", content=geotiff_file(noise(7, 9)), headers={"accept": media_type}
    )

    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media_type
    schema = described["content"][media_type]["schema"]
    if media_type.endswith("json"):
        check_value(document, schema, response.json())
    else:
        assert schema == {"type": "string", "format": "binary"}
    assert {name.lower() for name in described["headers"]} - set(response.headers) == {
        "x-lacuna-warnings"
    }


def test_every_error_that_a_request_may_meet_is_described(document):
    kinds = [k for k in STATUSES if issubclass(k, (RequestError, UnavailableError, InferenceError))]
    for of_other_operations in (ForbiddenError, UnknownRequestError):
        kinds.remove(of_other_operations)
    segment = document["paths"]["/v1/segment"]["post"]["responses"]
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]["responses"]

    for kind in kinds:
        status = STATUSES[kind].http
        described = segment[str(status)]["content"]["application/problem+json"]
        assert described["examples"][kind.code]["value"]["status"] == status
        assert str(400 if status in (406, 422) else status) in infer
    for response in (segment["406"], segment["429"], infer["503"]):
        assert ("Retry-After" in response["headers"]) == (response is not segment["406"])


def test_keys_are_described_where_they_are_needed(tmp_path):
    keys = AccessControl(KeyRing(["the-key-of-a-client"]))
    with serve(load_repository(make_repository_folder(tmp_path)), access_control=keys) as client:
        document = client.get("/openapi.json").json()
        for method, path, operation in list_operations(document):
            answer = client.request(method, path.format(**NAMES))
            assert (answer.status_code == 401) == ("401" in operation["responses"]), path
            assert (path in OPEN_PATHS) == (operation["security"] == [])


def test_the_types_of_files_that_are_described_are_taken(client, document):
    image = encode_image(np.full((4, 5), 7, np.uint8))
    for path in ("/v1/segment", "/v1/preview", "/invocations", "/vertex/go"):
        for media_type in document["paths"][path]["post"]["requestBody"]["content"]:
            if media_type in ("multipart/form-data", "application/json"):
                continue
            kind = media_type.replace("*", "png")
            assert client.post(path, content=image, headers={"content-type": kind}).is_success
