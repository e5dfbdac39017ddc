"""Warnings of the server, as `lacuna segment` tells them."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from lacuna.cli import main
from service.platforms import DEMO_REPOSITORY
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.images import noise
from tests.support.live import serve_live
from tests.support.trained import describe_trained


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"), "trained/1")
    with serve_live(load_repository(root, lambda _: FakeRuntime(describe_trained()))) as address:
        yield f"http://{address}"


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for index in range(5):
        scene = noise(48, 64, seed=index)
        content = scene // 40 if index in (1, 3) else scene
        (folder / f"s{index}.png").write_bytes(encode_image(content))
    return folder


def run(*arguments):
    result = CliRunner().invoke(main, ["segment", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("protocol", ["native", "oip", "tfserving"])
def test_a_kind_of_warning_is_told_once_with_the_number_of_its_images(scenes, url, protocol):
    output = scenes.parent / "out"

    result = run(scenes, "-o", output, "--url", url, "--protocol", protocol)

    (line,) = result.stderr.splitlines()
    first = scenes / "s1.png"
    assert line.startswith(f"warning (unlike_training): 2 of 5 images, first {first}: ")
    assert "5 segmented" in result.stdout


def test_a_single_image_is_told_by_its_name(scenes, url):
    result = run(scenes / "s1.png", "-o", scenes.parent / "s1.json", "--url", url)

    (line,) = result.stderr.splitlines()
    assert line.startswith(f"warning (unlike_training): {scenes / 's1.png'}: the image is unlike")
    (written,) = json.loads((scenes.parent / "s1.json").read_text())["warnings"]
    assert line.endswith(written["message"])


def test_nothing_is_told_of_images_like_the_training_data(scenes, url):
    assert run(scenes / "s0.png", "-o", scenes.parent / "s0.png", "--url", url).stderr == ""


def test_without_a_server_the_same_is_told(tmp_path):
    name = shutil.copy(DEMO_REPOSITORY.parent / "samples" / "groundcover" / "stripes.png", tmp_path)
    dark = tmp_path / "dark.npy"
    np.save(dark, np.zeros((64, 64, 3), np.uint8))

    model = ("--model", "groundcover")
    assert run(name, "-o", tmp_path / "labels.png", *model).stderr == ""
    assert "warning (unlike_training): " in run(dark, "-o", tmp_path / "dark.png", *model).stderr
