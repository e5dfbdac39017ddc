"""Training that goes on from converted networks, and from networks trained here."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from model.adopt.options import Scaling
from model.adopt.tuning import make_trainable
from model.cli import main
from model.convert import convert
from model.training.starting import read_start
from tests.support import plain_networks as networks
from tests.support.folders import write_folder

RAW = Scaling((1.0,) * 3, (0.0,) * 3)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("make", "meaning"), [(networks.unet, "softmax"), (networks.segnet, "sigmoid")]
)
def test_a_network_to_train_has_logits_of_the_same_probabilities_for_raw_values(
    make, meaning, tmp_path
):
    converted = convert(make()).network
    half = Scaling((0.5,) * 3, (1.0, 2.0, 3.0))
    make_trainable(converted, half, meaning).save(tmp_path / "network.keras")
    network = keras.models.load_model(tmp_path / "network.keras", compile=False)
    image = networks.draw_image(21, 26)
    mask = np.random.default_rng(0).random((1, 21, 26, 1)) < 0.7

    scores = np.asarray(converted([image * 0.5 + [1, 2, 3], mask], training=False))
    expected = scores if meaning == "softmax" else np.concatenate([1 - scores, scores], axis=-1)
    logits = np.asarray(network([np.where(mask, image, np.nan), mask], training=False))
    np.testing.assert_allclose(softmax(logits)[mask[..., 0]], expected[mask[..., 0]], atol=1e-5)
    assert not logits[~mask[..., 0]].any()


def test_probabilities_of_another_layer_are_not_taken_for_logits():
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Rescaling(1 / 255)(image))

    assert make_trainable(convert(network).network, RAW, "softmax") is None


@pytest.mark.slow
def test_an_adopted_network_is_trained_on_exported_and_checked(tmp_path):
    networks.segnet().save(tmp_path / "given.keras")
    adopted, data = tmp_path / "models" / "given" / "1", write_folder(tmp_path / "data")
    names = ("--class", "dark", "--class", "bright")
    options = ("--range", 0, 255, "--masked")
    assert run("adopt", tmp_path / "given.keras", "-o", adopted, *names, *options).exit_code == 0
    steps = ("--steps", 3, "--crop", 32, "--batch-size", 2, "--validate-every", 3)
    first = run("train", "--data", data, "--from", adopted, "-o", tmp_path / "run", *steps)

    assert first.exit_code == 0, first.output
    assert "May be padded, batched and tiled: no answer changes." in first.stdout
    no_temperature = "probabilities of converted networks have no temperature"
    assert no_temperature in first.stderr
    assert no_temperature in (tmp_path / "run" / "report.html").read_text()
    assert "temperature" not in json.loads((tmp_path / "run" / "scores.json").read_text())
    assert "0 of" in run("evaluate", tmp_path / "run").stdout.splitlines()[-1]
    version = tmp_path / "run" / "model" / "regions" / "1"
    network = json.loads((version / "assets.extra" / "manifest.json").read_text())["training"]
    assert network["network"]["receptive_radius"] == 12
    assert read_start(version).network == network["network"]


def test_what_training_cannot_start_from_is_said_in_one_line_before_it_begins(tmp_path):
    data, output = write_folder(tmp_path / "data", count=4), tmp_path / "run"
    for arguments, message in (
        (("--data", data, "--from", data), "--from must be the folder of a run or of a model's"),
        (("--from", data), "--from needs --data"),
        (("--data", data, "--from", data, "--network", "small"), "--from excludes it"),
        (("--data", data, "--from", data, "--twin", "zero"), "--twin is for new networks"),
    ):
        result = run("train", *arguments, "-o", output)
        assert result.exit_code
        assert message in result.stderr.splitlines()[-1]
    assert not output.exists()
