import json
from datetime import UTC, datetime

import pytest

from lacuna import errors
from lacuna.client import FailedError, RejectedError
from lacuna.client.calls import HttpReply
from lacuna.client.failures import read_failure
from service.listening.statuses import STATUSES


def make_reply(status, content, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status, headers, json.dumps(content).encode())


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.code)
def test_every_error_of_the_server_comes_back_as_its_class(kind):
    reply = make_reply(STATUSES[kind].http, {"code": kind.code, "detail": "a rule; what came"})

    error = read_failure(reply).error

    assert type(error) is kind
    assert error.message == "a rule; what came"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RejectedError),
        (418, RejectedError),
        (429, errors.OverloadedError),
        (500, FailedError),
        (502, FailedError),
        (503, errors.NotReadyError),
        (504, errors.DeadlineExceededError),
    ],
)
@pytest.mark.parametrize("content", ["<html>", {"error": "so it is"}, {"code": "?"}, [], None])
def test_without_a_code_the_status_tells(status, kind, content):
    error = read_failure(make_reply(status, content)).error

    assert type(error) is kind
    assert error.message in ("so it is", f"the server answered {status}")


def test_an_unknown_code_is_told():
    error = read_failure(make_reply(500, {"code": "new", "detail": "it broke"})).error

    assert error.message == "it broke (new)"
    assert error.code == "failed"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 10), ("soon", None), ("", None)],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    now = datetime(1994, 11, 6, 8, 49, 27, tzinfo=UTC)

    assert read_failure(make_reply(429, {}, retry_after=text), now).retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "passes"), [(429, True), (503, True), (502, True), (504, False)]
)
def test_what_may_pass_is_told_by_the_status(status, passes):
    assert read_failure(make_reply(status, {})).may_pass is passes


def test_the_request_id_goes_with_the_error():
    error = read_failure(make_reply(500, {}, x_request_id="abc")).error

    assert "request id abc" in error.__notes__[0]
