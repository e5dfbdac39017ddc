"""Reflectances and elevations train as they are."""

import numpy as np
import pytest

from model.data.crops import AugmentationConfig
from model.data.folders import read_dataset
from model.training.folders import FolderTrainingConfig, train_on_folder
from model.training.runs import load_run

MEANS = np.array([900, 1200, 1500, 3000, 1800], np.float32)
SCALES = np.array([200, 250, 300, 900, 60], np.float32)


def write_folder(root, *, by_hand):
    """Twelve images of four reflectances and an elevation; the class depends on two of them."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for index in range(12):
        rng = np.random.default_rng(index)
        values = rng.normal(0, 0.4, (40, 40, 5)) + rng.normal(0, 1, (5, 5, 5)).repeat(8, 0).repeat(
            8, 1
        )
        labels = (values[..., 3] + values[..., 4] > 0).astype(np.uint8)
        image = values if by_hand else values * SCALES + MEANS
        np.save(root / "images" / f"plot{index:02}.npy", image.astype(np.float32))
        np.save(root / "labels" / f"plot{index:02}.npy", labels)
    (root / "dataset.toml").write_text(
        'name = "bands"\nclasses = [{name = "low", color = "#000000"}, '
        '{name = "high", color = "#ffffff"}]\n'
    )
    names = [f"plot{index:02}" for index in range(12)]
    (root / "train.txt").write_text("\n".join(names[:8]))
    (root / "validation.txt").write_text("\n".join(names[8:]))
    return root


@pytest.mark.slow
def test_bands_of_all_units_train_as_well_as_those_that_are_standardised_by_hand(tmp_path):
    config = FolderTrainingConfig(
        "small", AugmentationConfig(crop=32), steps=80, batch_size=4, validate_every=80
    )
    scores = []
    for by_hand in (False, True):
        folder = write_folder(tmp_path / f"data-{by_hand}", by_hand=by_hand)
        train_on_folder(config, read_dataset(folder), tmp_path / f"run-{by_hand}")
        _, record = load_run(tmp_path / f"run-{by_hand}")
        scores.append(record["history"][-1]["val_mean_iou"])

    assert scores[0] > 0.6
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
