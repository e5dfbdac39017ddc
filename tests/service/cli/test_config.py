import json

import pytest
from click.testing import CliRunner

from lacuna.cli import main
from service.config import list_variables

KEY = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in list_variables():
        monkeypatch.delenv(name, raising=False)


def run(*arguments):
    return CliRunner().invoke(main, ["config", *arguments])


def read(*arguments):
    return json.loads(run("--json", *arguments).stdout)


def test_every_setting_is_shown_with_its_default():
    settings = read()

    assert list(settings) == list_variables()
    assert settings["LACUNA_PORT"] == {"value": 8000, "from": "default"}
    assert {setting["from"] for setting in settings.values()} == {"default"}


def test_what_the_environment_sets_says_so(monkeypatch):
    monkeypatch.setenv("LACUNA_LIMITS__BODY_BYTES", "1000")
    monkeypatch.setenv("LACUNA_MODELS", "a,b")

    assert read("--changed") == {
        "LACUNA_MODELS": {"value": ["a", "b"], "from": "environment"},
        "LACUNA_LIMITS__BODY_BYTES": {"value": 1000, "from": "environment"},
    }


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_keys_are_masked(monkeypatch, form):
    monkeypatch.setenv("LACUNA_API_KEYS", KEY)

    result = run("--changed", *form)

    assert "LACUNA_API_KEYS" in result.stdout
    assert "****" in result.stdout
    assert KEY not in result.output


def test_an_empty_value_is_shown_as_what_it_means():
    rows = [line.split(maxsplit=1) for line in run().stdout.splitlines()]
    shown = {row[0]: row[1].rsplit(maxsplit=1)[0] for row in rows if len(row) == 2}

    assert shown["LACUNA_GRPC_PORT"] == "8001"
    assert shown["LACUNA_METRICS_PORT"] == "the port of the server"
    assert shown["LACUNA_MODELS"] == "all"


def test_a_table_names_variable_value_and_origin(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "9000")

    lines = [line.split() for line in run("--changed").stdout.splitlines()]

    assert lines == [["variable", "value", "from"], ["LACUNA_PORT", "9000", "environment"]]


def test_a_misspelt_variable_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv("LACUNA_PROT", "1")

    result = run()

    assert result.exit_code == 1
    assert "LACUNA_PROT is not" in result.stderr
    assert "Traceback" not in result.stderr


def test_variables_that_are_ignored_are_named_beside_the_settings(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "tcp://10.96.0.12:8000")
    monkeypatch.setenv("LACUNA_SERVICE_HOST", "10.96.0.12")

    result = run("--json")

    assert json.loads(result.stdout)["LACUNA_PORT"] == {"value": 8000, "from": "default"}
    assert result.stderr.splitlines() == [
        "ignored, set by Kubernetes or Docker: LACUNA_PORT, LACUNA_SERVICE_HOST"
    ]
