"""Class weights, costs and other choices of a training."""

import numpy as np
import pytest

from model.data.crops import AugmentationConfig
from model.data.folders import read_dataset
from model.network import NetworkConfig
from model.training.class_weights import choose_class_weights
from model.training.costs import measure_cost
from model.training.folders import FolderTrainingConfig, train_on_folder
from model.training.runs import load_run
from tests.support.folders import write_folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_folder(tmp_path_factory.mktemp("choices") / "data", 6, 20))


def test_weights_by_median_frequency_are_those_of_their_definition(dataset):
    pixels = np.array([dataset.image_pixels[entry.name] for entry in dataset.training])
    frequencies = [
        pixels[:, label].sum() / pixels[pixels[:, label] > 0].sum() for label in range(2)
    ]
    expected = [np.median(frequencies) / frequency for frequency in frequencies]

    assert choose_class_weights("median-frequency", dataset) == pytest.approx(expected, rel=1e-4)
    assert choose_class_weights("1,0.5", dataset) == (1.0, 0.5)
    assert choose_class_weights(None, dataset) is None


@pytest.mark.parametrize("text", ["1", "1,2,3", "1,-2", "1,nan", "heavy"])
def test_weights_that_are_not_one_for_each_class_are_refused(dataset, text):
    with pytest.raises(ValueError, match="for each of dark, bright"):
        choose_class_weights(text, dataset)


def test_the_cost_of_a_network_is_counted_by_level():
    config = NetworkConfig(channels=3, classes=2, widths=(4, 8), convs_per_level=1)
    kernels = {1: 9 * 3 * 4 + 9 * 12 * 4 + 4 * 2, 4: 9 * 4 * 8}
    cost = measure_cost(config)

    assert cost.operations == 2 * sum(size / cells for cells, size in kernels.items())
    assert cost.radius == config.receptive_radius
    assert str(cost).startswith("1 kFLOP a pixel")


@pytest.mark.slow
def test_a_run_with_every_choice_trains_and_keeps_averaged_weights(dataset, tmp_path):
    config = FolderTrainingConfig(
        "small",
        AugmentationConfig(crop=12, rotation=45, zoom=(0.8, 1.3), sampling="classes"),
        steps=2,
        batch_size=2,
        validate_every=2,
        loss="focal+lovasz+dice",
        class_weights="median-frequency",
        label_smoothing=0.05,
        ema=0.5,
    )
    train_on_folder(config, dataset, tmp_path)
    network, record = load_run(tmp_path)
    with np.load(tmp_path / "checkpoint.npz") as checkpoint:
        last, best = checkpoint["weights_00000"], checkpoint["best_00000"]

    assert np.isfinite(record["history"][0]["loss"])
    assert record["config"]["loss"] == "focal+lovasz+dice"
    np.testing.assert_array_equal(network.get_weights()[0], best)
    assert not np.array_equal(best, last)
