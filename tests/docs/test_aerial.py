"""The description of the aerial images in the guide fits them, where they are."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from model.cli import main
from model.data.folders import read_dataset

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "aerial"
TEXT = (ROOT / "docs" / "training.md").read_text()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the aerial images are not there"),
]


@pytest.fixture
def folder(tmp_path):
    (description,) = re.findall(r"```toml\n(name = \"aerial\"\n.*?)^```", TEXT, re.M | re.S)
    for name in ("images", "labels"):
        (tmp_path / name).symlink_to(DATA / name)
    (tmp_path / "dataset.toml").write_text(description)
    return tmp_path


def test_the_aerial_images_are_read_as_they_are(folder):
    dataset = read_dataset(folder)

    assert (len(dataset.training), len(dataset.validation)) == (45, 9)
    assert {entry.name[:5] for entry in dataset.validation} == {"tile3"}
    assert sum(map(sum, dataset.class_pixels.values())) > 30_000_000


def test_a_few_steps_of_training_end_with_a_model_and_its_scores(folder, tmp_path):
    (tmp_path / "train.txt").write_text("tile1-001\ntile2-006\n")
    (tmp_path / "validation.txt").write_text("tile6-001\n")
    output = tmp_path / "run"
    text = (folder / "dataset.toml").read_text()
    (folder / "dataset.toml").write_text(text.replace('validation_groups = ["3"]\n', ""))
    options = ["--network", "small", "--crop", "64", "--steps", "4", "--batch-size", "2"]
    result = CliRunner().invoke(
        main, ["train", "--data", str(folder), "-o", str(output), *options, "--sampling", "classes"]
    )

    assert result.exit_code == 0, result.output
    assert set(json.loads((output / "scores.json").read_text())) >= {"mean_iou", "interval_95"}
    assert (output / "model" / "aerial" / "1" / "saved_model.pb").is_file()
