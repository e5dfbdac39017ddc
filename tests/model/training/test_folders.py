import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from model.baselines import BaselineNetwork
from model.data.crops import AugmentationConfig
from model.data.folders import read_dataset
from model.network import Architecture, NetworkConfig, build_network
from model.training.folders import (
    NETWORKS,
    FolderTrainingConfig,
    choose_network,
    train_on_folder,
)
from model.training.moving_averages import correct_moving_averages
from model.training.runs import describe_training, load_run, read_network_config
from tests.support.folders import write_description, write_folder

CONFIG = FolderTrainingConfig(
    network="small",
    augmentation=AugmentationConfig(crop=16),
    steps=12,
    batch_size=2,
    validate_every=5,
)
KILLED = """
import sys
from pathlib import Path
from tests.model.training.test_folders import CONFIG
from model.data.folders import read_dataset
from model.training.folders import train_on_folder

def tell(step, loss, iou):
    print(step, flush=True)
    if step == 8:
        sys.stdin.read()

train_on_folder(CONFIG, read_dataset(Path(sys.argv[1])), Path(sys.argv[2]), tell)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("resume") / "data", count=8, side=24)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    """Folder of a run of 12 steps, checkpoints at 5, 10 and 12."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    train_on_folder(CONFIG, read_dataset(folder), output)
    return output


def assert_same_run(actual, expected):
    (network, record), (reference, reference_record) = load_run(actual), load_run(expected)
    for weights, wanted in zip(network.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(weights, wanted, rtol=1e-5, atol=1e-6)
    for entry, wanted in zip(record["history"], reference_record["history"], strict=True):
        assert entry == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_as_if_it_had_not_been(folder, uninterrupted, tmp_path):
    output = tmp_path / "killed"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.strip() == "8":
                process.kill()
    assert process.returncode == -9
    assert not (output / "training.json").exists()

    steps = []
    train_on_folder(CONFIG, read_dataset(folder), output, lambda step, *_: steps.append(step))

    assert steps == [5, 6, 7, 8, 9, 10, 10, 11, 12, 12]
    assert_same_run(output, uninterrupted)


def test_a_finished_run_is_not_trained_again(folder, uninterrupted):
    before = (uninterrupted / "checkpoint.npz").stat().st_mtime_ns
    steps = []
    train_on_folder(
        CONFIG, read_dataset(folder), uninterrupted, lambda step, *_: steps.append(step)
    )

    assert steps == [12]
    assert (uninterrupted / "checkpoint.npz").stat().st_mtime_ns == before


def test_a_run_records_its_images_its_history_and_its_network(folder, uninterrupted):
    _, record = load_run(uninterrupted)
    dataset = read_dataset(folder)

    assert [entry["step"] for entry in record["history"]] == [5, 10, 12]
    assert record["dataset"]["images"] == {"training": 6, "validation": 2}
    assert read_network_config(record) == choose_network(CONFIG, dataset)
    assert read_network_config(record).widths == tuple(NETWORKS["small"]["widths"])
    assert read_network_config(record).pixel_mean == dataset.normalization.means
    assert describe_training(record)["data"].startswith("6 images, and 2 to choose")


def test_the_network_is_renormalised_as_was_asked_for(folder):
    config = dataclasses.replace(CONFIG, normalization="mean")

    assert choose_network(config, read_dataset(folder)).normalization == "mean"


@pytest.mark.parametrize(
    ("changed", "levels"),
    [({}, 2), ({"network": "default"}, 3), ({"network": "deep", "fill_levels": 4}, 4),
     ({"fill_levels": 0}, 0), ({"fill_levels": 9}, 2), ({"twin": "zero"}, 0)],
)  # fmt: skip
def test_no_cell_that_is_filled_is_larger_than_the_coarsest_and_twins_fill_themselves(
    folder, changed, levels
):
    config = dataclasses.replace(CONFIG, **changed)

    assert choose_network(config, read_dataset(folder)).fill_levels == levels


def test_tensorboard_finds_a_curve_of_every_number(uninterrupted):
    (path,) = (uninterrupted / "logs").iterdir()
    seen = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            seen.setdefault(value.tag, []).append(event.step)

    names = {"loss", "mean_iou", "val_loss", "val_mean_iou", "learning_rate"}
    assert seen == {name: [5, 10, 12] for name in names}


@pytest.mark.parametrize("change", ["steps", "image", "classes"])
def test_another_run_in_the_same_folder_is_refused(tmp_path, uninterrupted, change):
    folder = write_folder(tmp_path / "data", count=8, side=24)
    steps = 24 if change == "steps" else 12
    if change == "image":
        (folder / "masks" / "scene01.png").unlink()
    if change == "classes":
        write_description(folder, 'description = "another"')
    config = FolderTrainingConfig("small", CONFIG.augmentation, steps, 2, validate_every=5)

    with pytest.raises(ValueError, match="name another folder for another run") as caught:
        train_on_folder(config, read_dataset(folder), uninterrupted)
    wanted = {
        "steps": "config.steps was 12 and is now 24",
        "image": "dataset.digest was",
        "classes": "dataset.description was  and is now another",
    }
    assert wanted[change] in str(caught.value)


def test_a_folder_may_be_moved_between_two_halves_of_a_run(tmp_path, uninterrupted):
    folder = write_folder(tmp_path / "elsewhere", count=8, side=24)
    train_on_folder(CONFIG, read_dataset(folder), uninterrupted)

    _, record = load_run(uninterrupted)
    assert record["dataset"]["folder"] == str(folder)


def test_training_stops_when_no_score_is_better_and_keeps_the_best_weights(folder, tmp_path):
    config = FolderTrainingConfig(
        "small", CONFIG.augmentation, steps=400, batch_size=2, learning_rate=1e-12,
        weight_decay=0.0, validate_every=1, patience=3,
    )  # fmt: skip
    train_on_folder(config, read_dataset(folder), tmp_path)
    _, record = load_run(tmp_path)
    scores = [entry["val_mean_iou"] for entry in record["history"]]
    best = scores.index(max(scores))

    assert len(scores) == best + 1 + 3
    with np.load(tmp_path / "checkpoint.npz") as checkpoint:
        kept = [checkpoint[name] for name in sorted(checkpoint.files) if name.startswith("best_")]
    network, _ = load_run(tmp_path)
    assert len(kept) == len(network.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), kept, strict=True))


@pytest.mark.parametrize("kind", [Architecture, BaselineNetwork])
def test_moving_averages_are_freed_of_their_beginning(kind):
    config = NetworkConfig(widths=(2, 3), convs_per_level=1)
    network = build_network(config, kind(config))
    layers = [layer for layer in network.layers if hasattr(layer, "moving_mean")]
    for layer in layers:
        for _ in range(7):  # of batches whose mean is 3 and whose variance is 5
            for average, moment in ((layer.moving_mean, 3), (layer.moving_variance, 5)):
                average.assign(average * layer.momentum + moment * (1 - layer.momentum))
    correct_moving_averages(network, 7)

    assert len(layers) == 3
    for layer in layers:
        np.testing.assert_allclose(layer.moving_mean, 3, rtol=1e-4)
        np.testing.assert_allclose(layer.moving_variance, 5, rtol=1e-4)


def test_the_record_is_json(uninterrupted):
    text = (uninterrupted / "training.json").read_text()

    assert json.dumps(json.loads(text), allow_nan=False)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_named_network_can_be_built_and_read_back_from_a_record(name):
    config = NetworkConfig(**NETWORKS[name])

    assert NetworkConfig(**json.loads(json.dumps(config.to_json()))) == config
    assert build_network(config).output_shape == (None, None, None, config.classes)
