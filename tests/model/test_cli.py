"""From nothing to a model that a server takes, by the command line alone."""

import dataclasses
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from model.cli import main
from model.data.mosaics import MosaicConfig
from model.network import NetworkConfig
from model.training.mosaics import PRESETS, MosaicTrainingConfig, train_on_mosaics
from service.runtime.contract.checking import check_contract
from service.runtime.manifest import read_manifest
from service.runtime.saved_model import SavedModelRuntime


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


TINY = MosaicTrainingConfig(
    "groundcover",
    "",
    NetworkConfig(widths=(4, 6), convs_per_level=1, normalization="none", fill_levels=1),
    MosaicConfig(size=(16, 16), cell=(4, 8)),
    steps=2,
    batch_size=2,
    seed=3,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run of a network that is scored in no time."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    train_on_mosaics(TINY, folder)
    return folder


@pytest.fixture(scope="module")
def scored(trained):
    result = run("evaluate", trained)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "groundcover" / "7"
    result = run("export", trained, folder)
    assert result.exit_code == 0, result.output
    return folder


def test_a_preset_is_trained_as_was_asked_for(tmp_path):
    result = run("train", "--output", tmp_path, "--steps", 2, "--batch-size", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "training.json").read_text())["config"]

    assert (config["steps"], config["seed"]) == (2, 3)
    assert config["network"] == json.loads(json.dumps(PRESETS["groundcover"].network.to_json()))


@pytest.mark.slow
def test_evaluation_prints_a_row_for_each_missing_fraction_and_what_the_canvas_changes(scored):
    *rows, flips = scored.splitlines()[-4:]

    assert [line.split()[0] for line in rows] == ["0%", "30%", "60%"]
    assert "mean IoU" in scored
    assert flips.endswith("only the canvas does: 0 of 472,634 labels (0.00%), in 0 of 100 images")


@pytest.mark.slow
def test_the_export_carries_its_training_and_its_scores(trained, scored, tmp_path):
    assert run("export", trained, tmp_path / "groundcover" / "1").exit_code == 0
    manifest = read_manifest(tmp_path / "groundcover" / "1")

    assert manifest.training["seed"] == 3
    assert list(manifest.scores["mean_iou"]) == ["missing_0", "missing_30", "missing_60"]
    assert [entry.name for entry in manifest.classes] == ["grass", "gravel", "brick"]


def test_a_server_may_pad_batch_and_tile_the_export(exported):
    assert check_contract(SavedModelRuntime(exported)).holds


def test_an_export_is_in_a_format_that_is_known(trained, tmp_path):
    result = run("export", trained, tmp_path / "1", "--format", "tflite")

    assert result.exit_code == 2
    assert "'tflite' is not one of 'saved_model', 'onnx'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_samples_are_written_in_pairs_and_the_same_every_time(tmp_path):
    for folder in ("first", "second"):
        assert run("samples", tmp_path / folder).exit_code == 0

    first = tmp_path / "first"
    names = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert len(names) == 2 * 8
    assert all(
        (first / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in names
    )


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = run("evaluate", tmp_path)

    assert result.exit_code == 1
    assert "without network.keras and training.json" in result.stderr


def test_an_export_must_go_to_a_version(trained, tmp_path):
    result = run("export", trained, tmp_path / "groundcover")

    assert result.exit_code == 2
    assert "a version, which is a number" in result.stderr


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "baseline"
    network = dataclasses.replace(TINY.network, fill_levels=0)
    train_on_mosaics(dataclasses.replace(TINY, network=network, twin="nearest"), folder)
    return folder


def test_a_baseline_is_not_exported(baseline, tmp_path):
    result = run("export", baseline, tmp_path / "groundcover" / "1")

    assert result.exit_code == 1
    assert "holds a baseline network" in result.stderr
    assert not (tmp_path / "groundcover").exists()


@pytest.mark.slow
def test_several_runs_are_compared_printed_and_plotted(trained, baseline, tmp_path):
    plot = tmp_path / "deep" / "curves.svg"
    missing = "--missing", 0.8, "--missing", 0.4
    result = run("evaluate", trained, baseline, "--curves", plot, *missing)
    described = json.loads(plot.with_suffix(".json").read_text())

    assert result.exit_code == 0, result.output
    names = [entry["name"] for entry in described["contestants"]]
    assert names == ["masked, none, 1 fill levels", "plain, nearest"]
    assert all(result.stdout.count(name) == 1 + 6 for name in names)
    assert len(re.findall("missing +0% +40% +80% *\n", result.stdout)) == 6
    assert described["missing"] == [0, 0.4, 0.8]
    assert {len(entry["mean_iou"]["all"]["mean"]) for entry in described["contestants"]} == {3}
    assert [entry["flips"][0]["labels"] > 0 for entry in described["contestants"]] == [False, True]
    assert "padding" in ET.parse(plot).getroot().itertext()  # noqa: S314
    # Comparing leaves the runs alone.
    assert not (baseline / "scores.json").exists()


def test_runs_of_one_seed_are_refused(trained):
    result = run("evaluate", trained, trained)

    assert result.exit_code == 1
    assert "Received: two of seed 3" in result.stderr


def test_curves_are_drawn_into_an_svg_file_only(trained, tmp_path):
    result = run("evaluate", trained, "--curves", tmp_path / "curves.png")

    assert result.exit_code == 2
    assert "--curves must end in .svg" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--missing", 0.5), "--missing needs several RUNs, or --curves"),
        (("--missing", 0.5, "--data", "."), "without --curves and --missing"),
        (("--missing", 1), "1.0 is not in the range 0<x<1"),
    ],
)
def test_fractions_are_for_comparisons(trained, options, message):
    result = run("evaluate", trained, *options)

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--twin", "median"),
            "--twin must be one of zero, mean, mask, nearest, telea, linear; it is median",
        ),
        (("--normalization", "all"), "must be one of none, mean, area, variance; it is all"),
        (("--normalization", "none", "--twin", "mean"), "exclude each other"),
        (("--fill-levels", 0, "--twin", "mean"), "--twin and --fill-levels exclude each other"),
        (("--fill-levels", -1), "--fill-levels': -1 is not in the range x>=0"),
    ],
)
def test_contestants_that_are_none_are_refused(tmp_path, arguments, message):
    result = run("train", "-o", tmp_path / "run", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_fill_of_larger_cells_than_the_presets_coarsest_is_refused(tmp_path):
    result = run("train", "-o", tmp_path / "run", "--fill-levels", 4)

    assert result.exit_code == 1
    assert "`fill_levels` must be 0 to 3" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_preset_can_be_normalised_and_filled_otherwise(tmp_path):
    options = ("--steps", 1, "--batch-size", 2, "--normalization", "variance", "--fill-levels", 1)
    trained = run("train", "-o", tmp_path / "run", *options)
    exported = run("export", tmp_path / "run", tmp_path / "models" / "1")

    assert (trained.exit_code, exported.exit_code) == (0, 0)
    network = read_manifest(tmp_path / "models" / "1").training["network"]
    assert network["normalization"] == "variance"
    assert network["fill_levels"] == 1


def test_nothing_is_written_to_the_standard_error_but_progress(tmp_path):
    command = [sys.executable, "-c", "from model.cli import main; main()", "samples", tmp_path]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)

    assert finished.stderr == ""


def test_an_unknown_preset_is_refused_with_the_known_ones(tmp_path):
    result = run("train", "--output", tmp_path, "--preset", "moon")

    assert result.exit_code == 2
    assert "must be one of groundcover; it is moon" in result.stderr
