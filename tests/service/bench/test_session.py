import json

import numpy as np
import pytest

from lacuna.sample import Sample
from service.bench.load import run_in_loop
from service.bench.prepared_request import prepare_request
from service.bench.session import UnansweredError, answer_alone, find_model, send_once
from tests.service.bench.stub import RESET, http, run_stub

SAMPLE = Sample(np.zeros((4, 6, 1), np.uint8), np.ones((4, 6), np.bool_))


def list_models(*names, channels=3, **more):
    entries = [{"name": name, "image": {"channels": channels}} for name in names]
    return http(200, json.dumps({"models": entries, **more}).encode())


def find(answer, name=None):
    with run_stub(lambda *_: answer) as server:
        return run_in_loop(lambda: find_model(server, name, 10))


def test_the_only_model_is_found_without_its_name():
    assert find(list_models("mine", channels=4)) == ("mine", 4)


def test_one_of_several_models_is_found_by_its_name():
    assert find(list_models("mine", "yours"), "yours").name == "yours"


def test_without_a_name_the_default_of_the_server_is_found():
    entries = [
        {"name": "mine", "default": False, "image": {"channels": 3}},
        {"name": "yours", "default": True, "image": {"channels": 4}},
    ]
    answer = http(200, json.dumps({"models": entries}).encode())

    assert find(answer) == ("yours", 4)
    assert find(answer, "mine") == ("mine", 3)


@pytest.mark.parametrize("name", [None, "theirs"])
def test_a_model_that_is_not_told_apart_is_refused_with_those_there_are(name):
    with pytest.raises(UnansweredError, match="the model must be one of mine, yours"):
        find(list_models("mine", "yours"), name)


@pytest.mark.parametrize(
    "answer",
    [
        list_models(),
        http(404, b"{}"),
        http(200, b"<html>"),
        http(200, b"[]"),
        http(200, b'{"models": [{"name": "mine", "state": "loading"}]}'),
    ],
)
def test_a_server_without_a_model_that_is_ready_is_said(answer):
    with pytest.raises(UnansweredError, match="the server must list a model that is ready"):
        find(answer)


def test_a_server_that_is_not_there_is_said_with_a_hint():
    with run_stub(lambda *_: None) as server:
        pass

    with pytest.raises(UnansweredError, match=r"does not: .*`lacuna serve` starts one"):
        run_in_loop(lambda: send_once(server, b"GET / HTTP/1.1\r\n\r\n", 10))


@pytest.mark.parametrize("answer", [RESET, b"nonsense\r\n\r\n"])
def test_a_lost_connection_is_said(answer):
    with (
        run_stub(lambda *_: answer) as server,
        pytest.raises(UnansweredError, match="the connection was lost"),
    ):
        run_in_loop(lambda: send_once(server, b"GET / HTTP/1.1\r\n\r\n", 10))


def test_silence_is_said():
    with (
        run_stub(lambda *_: None) as server,
        pytest.raises(UnansweredError, match=r"0\.1 s were not enough"),
    ):
        run_in_loop(lambda: send_once(server, b"GET / HTTP/1.1\r\n\r\n", 0.1))


def test_what_each_image_is_answered_alone_is_what_is_expected():
    with run_stub(lambda number, _: http(200, b"answer %d" % number)) as server:
        requests = [prepare_request(server, SAMPLE)] * 3
        known = run_in_loop(lambda: answer_alone(server, requests, 10))

    assert [request.expected for request in known] == [b"answer 0", b"answer 1", b"answer 2"]


def test_an_image_that_is_not_answered_alone_is_said():
    with run_stub(lambda number, _: http(413 if number else 200, b"too large")) as server:
        requests = [prepare_request(server, SAMPLE)] * 2
        with pytest.raises(UnansweredError, match=r"number 1, of 24 pixels, .*413 too large"):
            run_in_loop(lambda: answer_alone(server, requests, 10))
