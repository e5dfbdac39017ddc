"""Twins of networks that are trained on a folder of images: plain networks, for comparison."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from model.cli import main
from model.data.folders import load_sample, read_dataset
from model.layers import MaskedBatchNormalization
from model.scoring.prediction import Predictor
from model.training.mosaics import PRESETS
from model.training.runs import load_run, read_network_config
from tests.support.folders import write_folder

OPTIONS = (
    "--network", "small", "--crop", 16, "--steps", 2, "--batch-size", 2, "--validate-every", 2,
)  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("twin") / "data", count=4, side=24)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Folder of a twin's run, and what the command said."""
    output = tmp_path_factory.mktemp("twins") / "run"
    result = run("train", "--data", folder, "-o", output, *OPTIONS, "--twin", "linear")
    assert result.exit_code == 0, result.output
    return output, result.output


def test_a_plain_network_is_trained_in_place_of_the_masked_one(trained):
    network, record = load_run(trained[0])
    kinds = {type(layer) for layer in network.layers}

    assert record["config"]["twin"] == "linear"
    assert keras.layers.BatchNormalization in kinds
    assert MaskedBatchNormalization not in kinds


def test_another_process_reads_it_back_and_names_the_extra_that_another_fill_lacks(
    trained, tmp_path
):
    code = """
import sys
from pathlib import Path
sys.modules["cv2"] = None  # as if it were not installed
from lacuna.errors import MissingExtraError
from model.training.runs import load_run
load_run(Path(sys.argv[1]))
try:
    load_run(Path(sys.argv[2]))
except MissingExtraError as error:
    print(error)
"""
    (tmp_path / "network.keras").touch()
    (tmp_path / "training.json").write_text('{"config": {"twin": "telea"}}')
    command = [sys.executable, "-c", code, trained[0], tmp_path]
    result = subprocess.run(command, check=True, capture_output=True, text=True)

    assert result.stdout.startswith("the fill telea needs the extra `compare`: pip install ")


def test_it_is_scored_and_reported_without_a_temperature(trained):
    output, said = trained
    scores = json.loads((output / "scores.json").read_text())
    page = (output / "report.html").read_text()

    assert list(scores["mean_iou"]) == ["missing_0", "missing_30", "missing_60"]
    assert "interval_95" in scores
    assert "pixel_baseline" in scores
    assert not any("temperature" in text for text in (*scores, said))
    assert "<th>temperature" not in page
    assert f"lacuna-model evaluate {output}" in page


def test_it_is_not_exported_and_the_output_says_so(trained, tmp_path):
    output, said = trained
    refused = run("export", output, tmp_path / "regions" / "1")

    assert said.splitlines()[-1].endswith("for comparison only; it is not exported")
    assert not (output / "model").exists()
    assert refused.exit_code == 1
    assert "holds a baseline network" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_predicts_images_of_any_size_and_never_reads_missing_values(trained, folder):
    network, record = load_run(trained[0])
    predictor = Predictor(network, read_network_config(record))
    dataset = read_dataset(folder)
    (sample,) = (load_sample(entry, dataset.description) for entry in dataset.validation)
    noise = np.where(sample.mask[..., None], sample.image, np.uint8(77))

    assert not sample.mask.all()
    logits = predictor.predict(sample)
    assert logits.shape == (*sample.mask.shape, 2)
    np.testing.assert_array_equal(predictor.predict(sample._replace(image=noise)), logits)


def test_the_same_command_trains_nothing_and_another_fill_is_another_run(trained, folder):
    output, _ = trained
    weights = (output / "checkpoint.npz").stat().st_mtime_ns
    other = run("train", "--data", folder, "-o", output, *OPTIONS, "--twin", "zero")
    again = run("train", "--data", folder, "-o", output, *OPTIONS, "--twin", "linear")

    assert again.exit_code == 0, again.output
    assert (output / "checkpoint.npz").stat().st_mtime_ns == weights
    assert other.exit_code == 1
    assert "config.twin was linear and is now zero" in other.stderr


def test_runs_on_one_folder_are_compared_printed_and_plotted(trained, tmp_path):
    plot = tmp_path / "deep" / "curves.svg"
    result = run("evaluate", trained[0], "--curves", plot)
    described = json.loads(plot.with_suffix(".json").read_text())

    assert result.exit_code == 0, result.output
    (entry,) = described["contestants"]
    assert described["data"].startswith("validation images")
    assert entry["name"] == "plain, linear"
    assert len(entry["mean_iou"]["padding"]["mean"]) == 6
    assert entry["flips"][0]["of_images"] == 1
    assert result.stdout.count("plain, linear") == 6 + 1
    assert "padding" in ET.parse(plot).getroot().itertext()  # noqa: S314


def test_runs_on_images_and_of_a_preset_are_not_compared(trained, tmp_path):
    network, record = load_run(trained[0])
    network.save(tmp_path / "network.keras")
    record = {"config": PRESETS["groundcover"].to_json()}
    (tmp_path / "training.json").write_text(json.dumps(record))
    result = run("evaluate", trained[0], tmp_path)

    assert result.exit_code == 1
    assert "must all be of mosaics, or all of the same images" in result.stderr.splitlines()[-1]


def test_an_unknown_fill_is_refused_with_the_known_ones(folder, tmp_path):
    result = run("train", "--data", folder, "-o", tmp_path / "run", "--twin", "median")

    assert result.exit_code == 2
    assert "--twin must be one of zero, mean, mask, nearest, telea, linear" in result.stderr
    assert not (tmp_path / "run").exists()
