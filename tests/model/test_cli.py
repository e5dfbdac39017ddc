"""From nothing to a model that a server takes, by the command line alone."""

import json

import pytest
from click.testing import CliRunner

from model.cli import main
from service.runtime.manifest import read_manifest
from service.runtime.probe import check_contract
from service.runtime.saved_model import SavedModelRuntime


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "short"
    result = run("train", "--output", folder, "--steps", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def scored(trained):
    result = run("evaluate", trained)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def exported(trained, scored, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "groundcover" / "7"
    result = run("export", trained, folder)
    assert result.exit_code == 0, result.output
    return folder


def test_training_keeps_what_was_asked_for(trained):
    config = json.loads((trained / "training.json").read_text())["config"]

    assert (config["steps"], config["seed"]) == (2, 3)


def test_evaluation_prints_a_row_for_each_missing_fraction(scored):
    assert [line.split()[0] for line in scored.splitlines()[-3:]] == ["0%", "30%", "60%"]
    assert "mean IoU" in scored


def test_the_export_carries_its_training_and_its_scores(exported):
    manifest = read_manifest(exported)

    assert manifest.training["seed"] == 3
    assert list(manifest.scores["mean_iou"]) == ["missing_0", "missing_30", "missing_60"]
    assert [entry.name for entry in manifest.classes] == ["grass", "gravel", "brick"]


def test_a_server_may_pad_batch_and_tile_the_export(exported):
    assert check_contract(SavedModelRuntime(exported)).holds


def test_samples_are_written_in_pairs_and_the_same_every_time(tmp_path):
    for folder in ("first", "second"):
        assert run("samples", tmp_path / folder).exit_code == 0

    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(names) == 8
    assert all(
        (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        for name in names
    )


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = run("evaluate", tmp_path)

    assert result.exit_code == 1
    assert "without network.keras and training.json" in result.stderr


def test_an_export_must_go_to_a_version(trained, tmp_path):
    result = run("export", trained, tmp_path / "groundcover")

    assert result.exit_code == 2
    assert "a version, which is digits" in result.stderr


def test_an_unknown_preset_is_refused_with_the_known_ones(tmp_path):
    result = run("train", "--output", tmp_path, "--preset", "moon")

    assert result.exit_code == 2
    assert "must be one of groundcover; it is moon" in result.stderr
