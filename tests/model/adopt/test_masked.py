"""`lacuna-model adopt --masked`: networks that are converted, checked and run."""

import re

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from model.cli import main
from service.runtime.saved_model import SavedModelRuntime
from tests.support import plain_networks as networks

FOUR = [part for name in "abcd" for part in ("--class", name)]


def run(source, output, *options):
    return CliRunner().invoke(main, ["adopt", str(source), "-o", str(output), *options])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "classes", "is_served"),
    [
        (networks.unet, FOUR, True),
        (networks.mobilenet, FOUR, True),
        (networks.segnet, ["--class", "other", "--class", "road"], True),
        (networks.deeplab, [*FOUR, "--allow", "image_pooling"], False),
    ],
)
def test_converted_networks_pass_the_check_and_are_run(tmp_path, make, classes, is_served):
    make().save(tmp_path / "given.keras")
    (tmp_path / "own").mkdir()
    pixels = networks.draw_image(64, 96)[0].astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own" / "scene.png")
    output = tmp_path / "models" / "given" / "1"
    options = ("--range", "0", "255", "--masked", "--samples", tmp_path / "own")
    result = run(tmp_path / "given.keras", output, *classes, *map(str, options))

    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "missing pixels ignored: every layer is masked" in said
    assert "Labels unlike the original's, on 1 image in" in said
    assert re.search(r"in another canvas 6,144 [0-9.]+% 0.00%", said) or not is_served
    assert ("May be padded, batched and tiled: no answer changes." in said) is is_served
    assert ("allowed image_pooling" in said) is not is_served
    image = networks.draw_image(37, 50)
    mask = np.random.default_rng(0).random((1, 37, 50)) < 0.7
    labels, probabilities = SavedModelRuntime(output).run(image, mask, probabilities=True)
    assert (labels[~mask] == 255).all()
    np.testing.assert_array_equal(labels[mask], probabilities[mask].argmax(axis=-1))


def test_what_cannot_be_converted_is_said_in_one_line(tmp_path):
    given = tmp_path / "given.keras"
    networks.deeplab().save(given)
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"))
    options = (*FOUR, "--range", "0", "255")

    for arguments, message in (
        (("--masked",), "image_pooling (GlobalAveragePooling2D): it takes statistics over"),
        (("--masked", "--fill", "mean"), "so nothing fills them; --fill is mean"),
        (("--masked", "--allow", "x"), "x is none"),
        (("--allow", "image_pooling"), "--allow is for --masked; it is image_pooling"),
    ):
        result = run(given, tmp_path / "1", *options, *arguments)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    plain = run(given, tmp_path / "1", *options, "--samples", str(tmp_path))
    assert "Invalid value for --samples: it is for --masked" in plain.stderr
    assert not (tmp_path / "1").exists()
