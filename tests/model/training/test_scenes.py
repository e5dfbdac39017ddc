"""Trainings on scenes, which are read by windows."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from model.cli import main
from model.data.crops import AugmentationConfig
from model.data.folders import read_dataset
from model.training.folders import FolderTrainingConfig, train_on_folder
from tests.support.folders import BRIGHT, DARK, write_description
from tests.support.scene_folders import PLACE, write_scene_folder

CONFIG = FolderTrainingConfig(
    network="small",
    augmentation=AugmentationConfig(crop=32),
    steps=6,
    batch_size=2,
    validate_every=3,
)
MEASURED = """
import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
import tensorflow
from model.data.folders import read_dataset
from model.training.folders import train_on_folder
from tests.model.training.test_scenes import CONFIG

def measure():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

warm, large, output = map(Path, sys.argv[1:])
train_on_folder(CONFIG, read_dataset(warm, 0), output / "warm")
before = measure()
dataset = read_dataset(large)
train_on_folder(CONFIG, dataset, output / "large")
print(json.dumps({"grown": measure() - before, "scenes": list(dataset.scenes)}))
"""


def train(folder, output):
    return train_on_folder(CONFIG, read_dataset(folder, scene_bytes=0), output).get_weights()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scene_folder(tmp_path_factory.mktemp("trained") / "data")


@pytest.fixture(scope="module")
def weights(folder, tmp_path_factory):
    return train(folder, tmp_path_factory.mktemp("first") / "run")


def test_the_same_seed_trains_the_same_network(folder, weights, tmp_path):
    for first, second in zip(weights, train(folder, tmp_path / "run"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_polygons_of_the_same_labels_train_the_same_network(weights, tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".gpkg")
    for first, second in zip(weights, train(folder, tmp_path / "run"), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_one_command_trains_scores_and_exports_from_polygons(tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".geojson")
    options = ["--network", "small", "--crop", "32", "--steps", "60", "--validate-every", "30"]
    command = ["train", "--data", folder, "-o", tmp_path / "run", *options]
    told = CliRunner().invoke(main, [str(part) for part in command])

    assert told.exit_code == 0, told.output
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["mean_iou"]["missing_0"] > 0.9


def write_large(folder, side=20_000):
    """A sparse scene with data and labels in a few places, and another one for validation."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    rng = np.random.default_rng(0)
    for name in ("large", "other"):
        size = {"height": side, "width": side, "dtype": "uint8", "driver": "GTiff"}
        paths = [folder / kind / f"{name}.tif" for kind in ("images", "labels")]
        with (
            rasterio.open(paths[0], "w", count=3, nodata=0, **size, **PLACE, **tiles) as image,
            rasterio.open(paths[1], "w", count=1, nodata=255, **size, **PLACE, **tiles) as labels,
        ):
            for top, left in rng.integers(0, side // 512 - 1, (30, 2)) * 512:
                window = rasterio.windows.Window(left, top, 512, 512)
                known = (np.mgrid[:512, :512].sum(axis=0) // 200 % 2).astype(np.uint8)
                values = np.where(known, BRIGHT, DARK) + rng.normal(0, 8, (3, 512, 512))
                image.write(values.clip(1, 255).astype(np.uint8), window=window)
                labels.write(known, 1, window=window)
    write_description(folder)
    (folder / "train.txt").write_text("large\n")
    (folder / "validation.txt").write_text("other\n")
    return folder


@pytest.mark.slow
def test_a_scene_larger_than_memory_is_trained_on_in_little_memory(folder, tmp_path):
    large = write_large(tmp_path / "data")
    assert sum(path.stat().st_size for path in (large / "images").iterdir()) < 100e6
    told = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder), str(large), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(told.stdout.splitlines()[-1])

    assert measured["scenes"] == ["large", "other"]
    assert measured["grown"] < 300e6
