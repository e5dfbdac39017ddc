"""Starting points of a training, told by files alone."""

import json
import zipfile
from types import SimpleNamespace

import pytest

from model.training.starting import StartError, read_start

NETWORK = {"channels": 3, "classes": 2, "total_stride": 4, "receptive_radius": 12}


def write(folder, facts, *, is_run=False):
    """Write a version, or a run, whose Keras file holds nothing."""
    extra = folder if is_run else folder / "assets.extra"
    extra.mkdir(parents=True)
    (extra / ("training.json" if is_run else "manifest.json")).write_text(json.dumps(facts))
    zipfile.ZipFile(extra / "network.keras", "w").close()
    return folder


def write_version(folder, network=NETWORK):
    return write(folder, {"image": {"dtype": "uint8"}, "training": {"network": network}})


def dataset(channels=3, classes=2, dtype="uint8"):
    description = SimpleNamespace(channels=channels, classes=[None] * classes, dtype=dtype)
    return SimpleNamespace(folder="own", description=description)


def test_a_version_and_a_run_tell_their_network_and_its_images(tmp_path):
    version = read_start(write_version(tmp_path / "1"))
    record = {"config": {"network": NETWORK}, "dataset": {"dtype": "uint16"}}
    run = read_start(write(tmp_path / "run", record, is_run=True))

    assert (version.network, version.dtype) == (NETWORK, "uint8")
    assert version.path == tmp_path / "1" / "assets.extra" / "network.keras"
    assert (run.network, run.dtype) == (NETWORK, "uint16")
    version.check_dataset(dataset())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "as many channels as the network of --from, 3; own has 4"),
        ({"classes": 5}, "as many classes as the network of --from, 2; own has 5"),
        ({"dtype": "float32"}, "must be uint8, as those of the network of --from"),
    ],
)
def test_images_that_the_network_does_not_take_are_refused(tmp_path, options, message):
    start = read_start(write_version(tmp_path / "1"))

    with pytest.raises(StartError, match=message):
        start.check_dataset(dataset(**options))


def test_a_folder_without_a_network_to_train_is_refused(tmp_path):
    adopted = write(tmp_path / "plain", {"image": {}, "training": {"fill": "zero"}})
    no_weights = write_version(tmp_path / "shipped")
    (no_weights / "assets.extra" / "network.keras").unlink()
    damaged = write_version(tmp_path / "damaged")
    (damaged / "assets.extra" / "network.keras").write_bytes(b"PK")
    unreadable = write_version(tmp_path / "unreadable")
    (unreadable / "assets.extra" / "manifest.json").write_text("{")
    twin = write(tmp_path / "twin", {"config": {"network": {}, "twin": "zero"}}, is_run=True)

    for folder, message in (
        (tmp_path, "must be the folder of a run or of a model's version"),
        (adopted, "a network to train must be masked"),
        (twin, "a network to train must be masked"),
        (no_weights, "must have its weights in assets.extra/network.keras"),
        (damaged, "must be a Keras file"),
        (unreadable, "must be readable as JSON"),
    ):
        with pytest.raises(StartError, match=message):
            read_start(folder)
