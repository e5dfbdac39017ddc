"""Lack of memory, wherever in the application it is met, is answered in the protocol's form."""

import errno

import pytest
from starlette.testclient import TestClient

from lacuna.errors import OutOfMemoryError
from service.listening.access import AccessControl
from service.web.protocol_errors import answer_unexpected, render_error
from service.web.request_log import RequestLog
from tests.support.apps import load_repository, make_repository_folder, make_services

SHORTAGES = [
    MemoryError("Unable to allocate 3.00 MiB"),
    RuntimeError("can't start new thread"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OutOfMemoryError("there must be memory to decode; it has run out"),
    ExceptionGroup("unhandled errors in a TaskGroup", [MemoryError()]),
]


def ask_failing(root, error, path):
    """Return the answer of an application that ends in an exception."""

    async def fail(scope, receive, send):
        raise error

    services = make_services(load_repository(make_repository_folder(root)))
    app = RequestLog(fail, AccessControl(), services.gate, render_error, answer_unexpected)
    response = TestClient(app, raise_server_exceptions=False).post(path)
    services.exchange.pipeline.segmenter.close()
    return response


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("path", ["/v1/segment", "/v2/models/m/infer", "/v1/models/m:predict"])
def test_it_is_503_until_later(tmp_path, caplog, error, path):
    response = ask_failing(tmp_path, error, path)

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    if path == "/v1/segment":
        assert response.json()["code"] == "out_of_memory"
    else:
        assert list(response.json()) == ["error"]
    assert "it has run out" in response.text
    assert [record.message for record in caplog.records] == ["out of memory"]


def test_anything_else_is_500(tmp_path, caplog):
    response = ask_failing(tmp_path, RuntimeError("something else"), "/v1/segment")

    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert [record.message for record in caplog.records] == ["unexpected error"]
