import json

import numpy as np
import pytest
from click.testing import CliRunner

from lacuna.cli import main
from lacuna.raster.npy import write_npy
from service.bench.workload import REGIONS
from service.cli.bench import REGIONS as OFFERED
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from tests.service.bench.stub import http, run_stub
from tests.support.apps import load_repository, make_repository_folder
from tests.support.live import serve_live

MODELS = http(200, b'{"models": [{"name": "mine", "image": {"channels": 3}}]}')


def run(*arguments):
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_live(load_repository(root)) as address:
        yield f"http://{address}"


def test_a_server_with_keys_is_measured_with_one(tmp_path):
    key = "k" * 32
    (tmp_path / "key").write_text(f"{key}\n")
    keys = AccessControl(KeyRing([key]))
    brief = "--requests", 4, "--warmup", 0, "--size", 16, "--images", 2
    repository = load_repository(make_repository_folder(tmp_path / "models"))
    with serve_live(repository, access_control=keys) as address:
        url = f"http://{address}"
        without = run(url, *brief)
        told = run(url, *brief, "--api-key", key)
        read = run(url, *brief, "--api-key-file", tmp_path / "key")

    assert without.exit_code == 1
    assert "GET /v1/models: 401" in without.output
    for result in (told, read):
        assert result.exit_code == 0, result.output
        assert "4 answers: 0 labels differ" in result.stdout
        assert key not in result.output


def run_against(reply, *arguments):
    """Run against a stub that lists a model first, then replies to n-th images, from 0 on."""
    with run_stub(lambda number, body: reply(number - 1) if number else MODELS) as address:
        url = f"http://{address.host}:{address.port}"
        return run(url, "--warmup", 0, "--size", 8, "--images", 1, *arguments)


def label(value):
    return http(200, write_npy(np.full((8, 8), value, np.uint8)))


def test_a_server_is_measured_and_every_answer_compared(server):
    result = run(server, "--requests", 30, "--warmup", 0, "--size", "8-40", "--images", 10)

    assert result.exit_code == 0, result.output
    assert "30 answers: 0 labels differ" in result.stdout
    assert "valid megapixels/s" in result.stdout
    assert "× the images' pixels" in result.stdout


def test_json_holds_all_of_it(server):
    result = run(
        server, "--requests", 12, "--warmup", 0, "--size", 20, "--valid", 0.5, "--rate", 500,
        "--region", "slant", "--connections", 4, "--json",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["answered"] == content["checked_answers"] == 12
    assert content["differing_labels"] == 0
    assert 0 < content["latency_s"]["p50"] <= content["latency_s"]["p99"]
    assert content["megapixels_per_s"] == pytest.approx(2 * content["valid_megapixels_per_s"])


def test_an_answer_that_differs_is_the_exit_status():
    result = run_against(lambda number: label(number == 2), "--requests", 3, "--connections", 1)

    assert result.exit_code == 1
    assert "3 answers: 64 labels differ in 1 of them" in result.stdout


def test_a_failure_is_the_exit_status():
    result = run_against(
        lambda number: http(500) if number == 2 else label(0), "--requests", 3, "--json"
    )

    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == {"500": 1}


def test_a_refusal_is_counted_and_no_failure():
    result = run_against(
        lambda number: http(429, b"", "Retry-After: 0") if number == 2 else label(0),
        "--requests", 3,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert "1 (429 × 1)" in result.stdout


def test_a_server_that_is_not_there_is_one_line_with_a_hint():
    with run_stub(lambda *_: None) as address:
        pass
    result = run(f"http://127.0.0.1:{address.port}")

    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: the server must answer")
    assert "`lacuna serve` starts one" in result.stderr


def test_a_model_that_is_not_there_is_said(server):
    result = run(server, "--model", "none")

    assert result.exit_code == 1
    assert "the model must be one of fake; it is none" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["there"], "a URL must be like"),
        (["--size", "large"], "a size must be like"),
        (["--size", "9-8"], "sizes must rise"),
        (["--duration", 1, "--requests", 1], "exclude each other"),
        (["--valid", 2], "--valid"),
    ],
)
def test_a_wrong_argument_is_said(arguments, said):
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr


def test_the_regions_are_those_that_can_be_drawn():
    assert tuple(REGIONS) == OFFERED
