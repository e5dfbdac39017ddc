"""Warnings of the server, in results and as Python's."""

import asyncio
import copy
import json
import warnings

import numpy as np
import pytest

from lacuna import LacunaWarning
from lacuna.client import AsyncClient, Client, Question
from service.runtime.fake import FakeRuntime
from tests.lacuna.client.scripts import ANSWER, FINE, Script
from tests.support.apps import load_repository, make_repository_folder
from tests.support.images import noise
from tests.support.live import serve_live
from tests.support.trained import describe_trained

SCENE = noise(48, 64)
DARK = SCENE // 40
TOLD = [{"code": "one", "message": "first"}, {"code": "two", "message": "second"}]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "trained/1")
    with serve_live(load_repository(root, lambda _: FakeRuntime(describe_trained()))) as address:
        yield f"http://{address}"


def segment(headers, **more):
    script = Script((200, headers, ANSWER | more))
    with Client("http://server", transport=script) as client:
        return client.segment(np.zeros((1, 2), np.uint8))


@pytest.mark.parametrize("protocol", ["native", "oip", "tfserving"])
@pytest.mark.parametrize("probabilities", [False, True])
def test_every_protocol_warns_of_an_image_unlike_the_training_data(url, protocol, probabilities):
    with Client(url, protocol=protocol) as client:
        assert client.segment(SCENE, probabilities=probabilities).warnings == ()
        with pytest.warns(LacunaWarning, match="unlike the images") as caught:
            result = client.segment(DARK, probabilities=probabilities)

    (told,) = result.warnings
    assert told.code == caught[0].message.code == "unlike_training"
    assert told.message == str(caught[0].message)


def test_brief_answers_warn_too(url):
    with Client(url) as client, pytest.warns(LacunaWarning):
        assert len(client.ask(Question(DARK, brief=True)).warnings) == 1


def test_answers_as_the_server_writes_them_warn_too(url):
    with Client(url) as client, pytest.warns(LacunaWarning, match="unlike the images"):
        client.segment_as("image/png", DARK)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.segment(DARK),
        lambda client: client.ask(Question(DARK)),
        lambda client: client.segment_as("image/png", DARK),
    ],
)
def test_a_warning_points_to_the_line_that_called(url, call):
    with Client(url) as client, pytest.warns(LacunaWarning) as caught:
        call(client)

    assert (caught[0].filename, caught[0].lineno) == (__file__, call.__code__.co_firstlineno)


def test_an_async_client_warns_at_the_line_that_called(url):
    async def run():
        async with AsyncClient(url) as client:
            return await client.segment(DARK)

    with pytest.warns(LacunaWarning) as caught:
        result = asyncio.run(run())

    assert len(result.warnings) == 1
    assert caught[0].filename == __file__


def test_maps_warn_of_each_image(url):
    with Client(url) as client, pytest.warns(LacunaWarning):
        results = list(client.map([DARK, SCENE, DARK]))

    assert [len(result.warnings) for result in results] == [1, 0, 1]


def test_several_warnings_are_all_passed_on():
    with pytest.warns(LacunaWarning) as caught:
        result = segment({"X-Lacuna-Warnings": json.dumps(TOLD)})

    assert [warning._asdict() for warning in result.warnings] == TOLD
    assert [(one.message.code, one.message.message) for one in caught] == [
        ("one", "first"),
        ("two", "second"),
    ]


def test_warnings_in_the_answer_are_enough_and_are_told_once():
    with pytest.warns(LacunaWarning) as caught:
        result = segment({}, warnings=TOLD)
    assert len(result.warnings) == len(caught) == 2

    with pytest.warns(LacunaWarning) as caught:
        segment({"X-Lacuna-Warnings": json.dumps(TOLD)}, warnings=TOLD)
    assert len(caught) == 2


@pytest.mark.parametrize(
    "text", ["", "not JSON", "{}", "null", "7", '["?"]', '[{"code": "one"}]', "[" * 100_000]
)
def test_a_header_that_cannot_be_read_costs_no_answer(text):
    assert segment({"X-Lacuna-Warnings": text}).warnings == ()


def test_older_servers_do_not_warn():
    with Client("http://server", transport=Script(FINE)) as client:
        assert client.segment(np.zeros((1, 2), np.uint8)).warnings == ()


def test_warnings_can_be_silenced_or_raised_by_their_class(url):
    with Client(url) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", LacunaWarning)
        assert client.segment(DARK).warnings
        warnings.simplefilter("error", LacunaWarning)
        with pytest.raises(LacunaWarning) as caught:
            client.segment(DARK)
    assert caught.value.code == "unlike_training"


def test_a_warning_can_be_copied_to_another_process():
    warning = copy.copy(LacunaWarning("so it is", "one"))  # by the protocol of pickle

    assert (warning.message, warning.code, str(warning)) == ("so it is", "one", "so it is")


def test_saved_json_holds_the_warnings(url, tmp_path):
    with Client(url) as client, pytest.warns(LacunaWarning):
        result = client.segment(DARK)

    saved = json.loads(result.save(tmp_path / "dark.json").read_text())
    assert saved["warnings"] == [warning._asdict() for warning in result.warnings]
