"""Models that are scored from outside, exported and served."""

import asyncio
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from lacuna.client import Client
from model.cli import main
from model.data.labelled import LabelledSample
from model.export import build_manifest, describe_classes, export_network
from model.network import NetworkConfig
from model.scoring.exported import ClassMismatchError, find_order, open_exported, open_served
from model.scoring.prediction import Predictor
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.local.loading import load_model
from tests.support.apps import load_repository
from tests.support.folders import write_folder
from tests.support.live import serve_live
from tests.support.networks import random_network

CONFIG = NetworkConfig(classes=2, widths=(3, 4), convs_per_level=1)
NAMES = ["dark", "bright"]


@pytest.fixture(scope="module")
def network():
    return random_network(CONFIG, seed=5)


@pytest.fixture(scope="module")
def repository(network, tmp_path_factory):
    """Repository of a model whose classes are those of the data in another order."""
    root = tmp_path_factory.mktemp("exported")
    classes = describe_classes(NAMES[::-1], [(204, 187, 68), (68, 119, 170)])
    manifest = build_manifest("regions", "", CONFIG, classes)
    export_network(network, CONFIG, manifest, root / "regions" / "1")
    return root


@pytest.fixture(scope="module")
def url(repository):
    with serve_live(load_repository(repository, load_model)) as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    mask = rng.random((37, 52)) < 0.8
    image = np.where(mask[..., None], rng.integers(0, 256, (37, 52, 3)), 0).astype(np.uint8)
    return LabelledSample(image, mask, np.zeros(mask.shape, np.uint8))


def test_exported_and_served_models_say_what_their_network_does(network, repository, url, sample):
    logits = Predictor(network, CONFIG).predict(sample).astype(np.float64)
    power = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = (power / power.sum(axis=-1, keepdims=True))[..., ::-1]
    exported = open_exported(repository / "regions" / "1", NAMES, 3)
    with Client(url) as client:
        for predictor in (exported, open_served(client, "regions", NAMES, 3)):
            found = np.exp(predictor.predict(sample))[sample.mask]
            np.testing.assert_allclose(found, expected[sample.mask], atol=1e-5)
            assert predictor.halo == 6


def test_the_version_whose_facts_are_read_is_the_one_that_is_scored(
    network, repository, tmp_path, sample
):
    root = tmp_path / "models"
    shutil.copytree(repository / "regions" / "1", root / "regions" / "1")
    classes = describe_classes(NAMES, [(68, 119, 170), (204, 187, 68)])
    manifest = build_manifest("regions", "", CONFIG, classes)
    export_network(network, CONFIG, manifest, root / "regions" / "2")
    policy = RepositoryPolicy(versions=VersionPolicy.parse("latest:2"))
    expected = open_exported(root / "regions" / "2", NAMES, 3).predict(sample)

    models = ModelRepository(root, load_model, policy=policy)
    asyncio.run(models.load_all())
    with serve_live(models) as address, Client(f"http://{address}") as client:
        found = open_served(client, None, NAMES, 3).predict(sample)

    np.testing.assert_allclose(found[sample.mask], expected[sample.mask], atol=1e-4)


def test_the_command_scores_both_alike_and_writes_intervals(repository, url, tmp_path):
    folder = write_folder(tmp_path / "data", 6, 24)
    written = []
    for number, model in enumerate((repository / "regions" / "1", url)):
        output = tmp_path / f"{number}.json"
        arguments = ["evaluate", str(model), "--data", str(folder), "--output", str(output)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "with a confidence of 95 %" in result.stdout
        written.append(json.loads(output.read_text()))

    assert written[0] == written[1]
    low, high = written[0]["interval_95"]["mean_iou"]
    assert low <= written[0]["mean_iou"]["missing_0"] <= high
    assert written[0]["data"] == "all images of regions: 6"


def test_a_server_with_keys_is_scored_with_one(repository, tmp_path):
    key, data = "k" * 32, str(write_folder(tmp_path / "data", 4, 12))
    (tmp_path / "key").write_text(key)
    keys = AccessControl(KeyRing([key]))
    with serve_live(load_repository(repository, load_model), access_control=keys) as address:
        command = ["evaluate", f"http://{address}", "--data", data]
        without = CliRunner().invoke(main, command)
        read = CliRunner().invoke(main, [*command, "--api-key-file", str(tmp_path / "key")])

    assert without.exit_code == 1
    assert "key" in without.stderr
    assert read.exit_code == 0, read.output
    assert "with a confidence of 95 %" in read.stdout


def test_a_part_of_the_images_is_compared_with_single_pixels(repository, tmp_path):
    folder = write_folder(tmp_path / "data", 6, 24)
    model, part = str(repository / "regions" / "1"), ["--part", "validation"]
    result = CliRunner().invoke(main, ["evaluate", model, "--data", str(folder), *part])

    assert result.exit_code == 0, result.output
    found = float(result.stdout.split("single pixels alone: ")[1].split()[0])
    assert found > 0.95  # dark and bright


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "--data", "DATA", "--model", "x"], "are for the URL of a server"),
        (["MODEL", "--data", "DATA", "--api-key", "x"], "are for the URL of a server"),
        (["DATA", "--api-key", "x"], "need --data"),
        (["MODEL", "--data", "DATA", "--part", "test"], "has no test images"),
        (["DATA", "--data", "DATA"], "a model must be a SavedModel with"),
        (["MODEL", "MODEL", "--data", "DATA"], "--data scores one model"),
        (["DATA", "--part", "test"], "need --data"),
        (["URL", "--data", "DATA", "--model", "x"], "the model must be one that"),
        (["http://127.0.0.1:9", "--data", "DATA"], "127.0.0.1:9"),
        (["nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_scored_is_told(repository, url, tmp_path, arguments, message):
    folder = write_folder(tmp_path / "data", 4, 12)
    places = {"MODEL": repository / "regions" / "1", "DATA": folder, "URL": url}
    given = [str(places.get(argument, argument)) for argument in arguments]
    result = CliRunner().invoke(main, ["evaluate", *given])

    assert result.exit_code != 0
    assert message in result.output


def test_other_channels_and_classes_are_told(repository):
    with pytest.raises(ValueError, match="the 5 channels of the data set"):
        open_exported(repository / "regions" / "1", NAMES, 5)
    assert find_order(["b", "a"], ["a", "b"]) == [1, 0]
    with pytest.raises(ClassMismatchError, match="classes of the data set: a, c"):
        find_order(["b", "a"], ["a", "c"])
