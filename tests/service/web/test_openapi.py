"""What the OpenAPI document describes, asked in every way that it allows."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.web.app import make_app
from tests.support.apps import load_repository, make_repository_folder, make_services

CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)


@schemathesis.serializer("application/x-npy", "image/*")
def send_bytes(_, value):
    return value if isinstance(value, bytes) else repr(value).encode()


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    app = make_app(make_services(load_repository(root)))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    return [found.ok() for found in schema.get_all_operations()]


def test_every_operation_answers_as_it_is_described_and_never_fails(operations):
    assert len(operations) > 15

    for operation in operations:
        ask_in_many_ways(operation)


def ask_in_many_ways(operation):
    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data):
        case = data.draw(operation.as_strategy())
        if "name" in (case.path_parameters or {}) and data.draw(st.booleans()):
            case.path_parameters["name"] = "fake"
        response = case.call()
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CHECKS)

    check()
