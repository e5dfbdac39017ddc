import dataclasses
import json

import keras
import numpy as np
import pytest

from model.baselines import FILLS
from model.data.mosaics import MosaicConfig, measure_mosaics
from model.data.textures import CLASSES
from model.layers import MaskedBatchNormalization
from model.network import NetworkConfig, build_network
from model.training.mosaics import PRESETS, MosaicTrainingConfig, train_on_mosaics
from model.training.runs import load_run, read_network_config
from tests.support.strategies import make_scene

CONFIG = MosaicTrainingConfig(
    name="tiny",
    description="Too small to be of use.",
    network=NetworkConfig(classes=len(CLASSES), widths=(4, 8), convs_per_level=1),
    mosaics=MosaicConfig(size=(32, 32), cell=(10, 16), missing=(0.0, 0.2)),
    steps=80,
    batch_size=8,
    learning_rate=5e-2,
)


class Recorder:
    """Gathers the loss of each step, and of each epoch, which ends by repeating its last step."""

    def __init__(self):
        self.steps, self.batches, self.epochs = [], [], []

    def __call__(self, step, loss, mean_iou):
        repeated = self.steps[-1:] == [step]
        (self.epochs if repeated else self.batches).append(loss)
        self.steps.append(step)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few seconds: its network, its folder and what its callback was told."""
    folder, recorder = tmp_path_factory.mktemp("runs") / "deep" / "tiny", Recorder()
    return train_on_mosaics(CONFIG, folder, recorder, 20), folder, recorder.epochs


def test_the_loss_falls(run):
    _, _, losses = run
    assert len(losses) == 4
    assert losses[-1] < 0.95 * losses[0]


def test_a_run_is_read_back_as_it_was(run):
    network, folder, _ = run
    loaded, _ = load_run(folder)
    for actual, expected in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
    scene = make_scene(21, 30, 0.6, seed=0)
    batch = [scene.image[None], scene.mask[None, ..., None]]
    np.testing.assert_array_equal(loaded(batch), network(batch, training=False))


def test_a_run_records_its_configuration_its_history_and_its_versions(run):
    _, folder, losses = run
    _, record = load_run(folder)
    assert read_network_config(record) == CONFIG.network
    assert record["config"] == json.loads(json.dumps(CONFIG.to_json()))
    assert record["history"]["loss"] == pytest.approx(losses)
    assert len(record["history"]["mean_iou"]) == 4
    assert record["versions"]["keras"] == keras.__version__
    measured = [entry._asdict() for entry in measure_mosaics(CONFIG.mosaics, CONFIG.seed)]
    assert record["statistics"] == json.loads(json.dumps(measured))


def test_training_moves_the_statistics_of_the_batch_normalisation(run):
    network, _, _ = run
    layer = network.get_layer("down0_conv0_norm")
    assert np.all(layer.moving_variance.numpy() != 1)
    assert np.all(np.isfinite(layer.moving_mean.numpy()))


BRIEF = MosaicTrainingConfig(
    "brief",
    "",
    NetworkConfig(widths=(2,), convs_per_level=1),
    MosaicConfig(size=(8, 8), cell=(4, 8)),
    batch_size=2,
)


def train_briefly(folder, steps, steps_per_epoch, seed=0):
    config = dataclasses.replace(BRIEF, steps=steps, seed=seed)
    return train_on_mosaics(config, folder, steps_per_epoch=steps_per_epoch)


def test_the_same_seed_trains_the_same_network(tmp_path):
    first, again, other = (
        train_briefly(tmp_path / str(index), 4, 4, seed).get_weights()
        for index, seed in enumerate((1, 1, 2))
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("steps", "steps_per_epoch"), [(4, 4), (3, 100), (6, 2), (5, 2)])
def test_as_many_batches_are_trained_on_as_were_asked_for(tmp_path, steps, steps_per_epoch):
    recorder = Recorder()
    config = dataclasses.replace(BRIEF, steps=steps)
    train_on_mosaics(config, tmp_path, recorder, steps_per_epoch)
    assert sorted(set(recorder.steps)) == list(range(steps + 1))
    assert len(recorder.batches) == 1 + steps  # one call before the first step


@pytest.mark.parametrize("name", ["network.keras", "training.json"])
def test_a_folder_that_lacks_a_file_is_no_run(run, tmp_path, name):
    _, folder, _ = run
    for path in folder.iterdir():
        if path.name != name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=f"Received: .*without {name}$"):
        load_run(tmp_path)


def test_a_folder_that_is_not_there_is_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"without network.keras and training.json"):
        load_run(tmp_path / "missing")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_built(name):
    preset = PRESETS[name]
    assert preset.name == name
    network = build_network(preset.network)
    assert network.output_shape[-1] == len(CLASSES)


@pytest.mark.parametrize("twin", FILLS)
def test_a_baseline_is_trained_in_its_place_and_read_back(tmp_path, twin):
    network = train_on_mosaics(dataclasses.replace(BRIEF, steps=1, twin=twin), tmp_path)
    loaded, record = load_run(tmp_path)
    scene = make_scene(9, 10, 0.6, seed=0)
    batch = [scene.image[None], scene.mask[None, ..., None]]

    kinds = {type(layer) for layer in network.layers}
    assert keras.layers.BatchNormalization in kinds
    assert MaskedBatchNormalization not in kinds
    assert record["config"]["twin"] == twin
    np.testing.assert_array_equal(loaded(batch), network(batch, training=False))


def test_an_unknown_fill_is_refused():
    with pytest.raises(ValueError, match=r"one of zero, .*, linear\. Received: 'median'"):
        dataclasses.replace(BRIEF, twin="median")


def stop_after(batches):
    """Return a listener that stops a training after some batches, as a signal would."""

    def listen(step, loss, mean_iou):
        if step == batches:
            raise KeyboardInterrupt

    return listen


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Folder of a run of 9 steps in epochs of 3."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train_briefly(folder, 9, 3)
    return folder


@pytest.mark.parametrize("batches", [1, 4, 7])
def test_a_training_that_was_cut_short_ends_as_if_it_had_not_been(tmp_path, uninterrupted, batches):
    config = dataclasses.replace(BRIEF, steps=9)
    with pytest.raises(KeyboardInterrupt):
        train_on_mosaics(config, tmp_path / "cut", stop_after(batches), steps_per_epoch=3)
    train_on_mosaics(config, tmp_path / "cut", steps_per_epoch=3)

    (whole, record), (cut, cut_record) = load_run(uninterrupted), load_run(tmp_path / "cut")
    for actual, expected in zip(cut.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    for name, values in record["history"].items():
        assert cut_record["history"][name] == pytest.approx(values, rel=1e-5)
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {
        "network.keras",
        "training.json",
    }


def test_another_training_does_not_go_on_with_the_rest_of_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_on_mosaics(
            dataclasses.replace(BRIEF, steps=9), tmp_path, stop_after(7), steps_per_epoch=3
        )
    recorder = Recorder()
    train_on_mosaics(dataclasses.replace(BRIEF, steps=2), tmp_path, recorder)

    assert recorder.steps == [0, 1, 2, 2]
    assert len(load_run(tmp_path)[1]["history"]["loss"]) == 1
