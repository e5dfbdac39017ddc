"""Adopted networks behind a server: over gRPC, and by `lacuna segment --url`."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lacuna.cli import main as lacuna
from model.cli import main
from service.local.loading import load_model
from tests.support import foreign, plain_networks, rpc
from tests.support.apps import load_repository, make_services

NAMES = ("plain", "masked", "onnx")
THREE = ("--class", "a", "--class", "b", "--class", "c", "--range", "0", "1")
FOUR = [part for name in "abcd" for part in ("--class", name)]
HEIGHT, WIDTH = 45, 61


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A repository of a network as it is, of a converted one, and of one in ONNX."""
    folder = tmp_path_factory.mktemp("adopted")
    foreign.plain_unet().save(folder / "plain.keras")
    plain_networks.unet().save(folder / "masked.keras")
    foreign.write_torch_unet(folder / "onnx.onnx")
    for source, options in (
        ("plain.keras", (*THREE, "--fill", "nearest")),
        ("masked.keras", (*FOUR, "--masked")),
        ("onnx.onnx", THREE),
    ):
        output = folder / "models" / source.partition(".")[0] / "1"
        result = CliRunner().invoke(
            main, ["adopt", str(folder / source), "-o", str(output), *options]
        )
        assert result.exit_code == 0, result.output
    return folder / "models"


@pytest.fixture(scope="module")
def server(models):
    """Hosts and ports of HTTP and of gRPC."""
    services = make_services(load_repository(models, load_model))
    with rpc.serve_both(services) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def scene():
    """An image and its mask."""
    image = plain_networks.draw_image(HEIGHT, WIDTH)[0].astype(np.uint8)
    mask = np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.8
    return image, mask


def label(models, name, image, mask):
    """Return the labels of a model without a server."""
    runtime = load_model(models / name / "1")
    labels = runtime.run(image[None].astype(np.float32), mask[None], probabilities=False).labels[0]
    assert np.unique(labels[mask]).size > 1
    return labels


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_adopted_network_answers_over_grpc(models, server, scene, name):
    image, mask = scene
    request = rpc.make_infer(image[None], mask[None], model_name=name)
    with rpc.connect(server[1]) as stub:
        answer = rpc.read_outputs(stub.call("ModelInfer", request))

    np.testing.assert_array_equal(answer["labels"][0], label(models, name, image, mask))
    assert answer["probabilities"].shape[:3] == (1, HEIGHT, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_adopted_network_answers_the_command_line(models, server, scene, tmp_path, name):
    image, mask = scene
    Image.fromarray(image).save(tmp_path / "scene.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    output = tmp_path / "labels.npy"
    options = ["--mask", tmp_path / "mask.png", "--url", f"http://{server[0]}", "--model", name]
    arguments = ["segment", tmp_path / "scene.png", "-o", output, *options]
    result = CliRunner().invoke(lacuna, list(map(str, arguments)))

    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(output), label(models, name, image, mask))
