"""The tutorial is followed to the letter."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

TEXT = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
PROGRAMS = {
    "python": [sys.executable],
    "lacuna": [sys.executable, "-c", "from lacuna.cli import main; main()"],
    "lacuna-model": [sys.executable, "-c", "from model.cli import main; main()"],
}


def read_commands():
    """Give the commands of the tutorial in their order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def start(command, folder, **options):
    return subprocess.Popen([*PROGRAMS[command[0]], *command[1:]], cwd=folder, text=True, **options)


def ask_as_curl_does(command, server):
    files = dict(re.findall(r"(\w+)=@(\S+)", " ".join(command)))
    url = re.sub(r"http://[^/]+", server, command[-1])
    return files, url


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Folder in which every command of the tutorial was run, and what the server answered."""
    folder = tmp_path_factory.mktemp("tutorial")
    (script,) = re.findall(r"`make_fields.py`:\n\n```python\n(.*?)^```", TEXT, re.M | re.S)
    (folder / "make_fields.py").write_text(script)
    *commands, serve, curl = read_commands()
    for command in commands:
        with start(command, folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output = process.stdout.read()
        assert process.returncode == 0, f"{command}: {output}"

    assert serve[:2] == ["lacuna", "serve"]
    with start([*serve, "--port", "0"], folder, stderr=subprocess.PIPE) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if json.loads(line)["message"] == "model ready":
                    break
            server = re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))[0]
            files, url = ask_as_curl_does(curl, server)
            answer = httpx2.post(
                url, files={name: (folder / path).read_bytes() for name, path in files.items()}
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
    assert process.returncode == 0
    return folder, answer


@pytest.mark.slow
def test_every_command_of_the_tutorial_works_up_to_an_answer_of_the_server(followed):
    folder, answer = followed

    assert answer.status_code == 200
    assert answer.json()["model"] == {"name": "fields", "version": "1"}
    assert [entry["name"] for entry in answer.json()["classes"]] == ["soil", "crop", "water"]
    with (
        Image.open(folder / "labels.png") as labels,
        Image.open(folder / "fields" / "images" / "plot00.png") as image,
    ):
        assert labels.size == image.size


@pytest.mark.slow
def test_the_tutorials_model_is_right_about_most_pixels(followed):
    folder, answer = followed
    with Image.open(folder / "fields" / "labels" / "plot00.png") as image:
        truth = np.asarray(image)
    with Image.open(folder / "fields" / "masks" / "plot00.png") as image:
        valid = np.asarray(image)
    pixels = [entry["pixels"] for entry in answer.json()["classes"]]

    assert sum(pixels) == valid.sum()
    np.testing.assert_allclose(
        pixels, np.bincount(truth[valid], minlength=3), atol=valid.sum() / 10
    )


@pytest.mark.slow
def test_every_file_that_the_tutorial_names_is_there(followed):
    folder, _ = followed
    table = TEXT[TEXT.index("`runs/fields` now holds") :].split("\n\n")[1]
    names = [
        name
        for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", cell)
    ]

    assert len(names) == 8
    assert all((folder / "runs" / "fields" / name).exists() for name in names)


def test_every_option_of_the_tutorial_is_one_of_the_command_with_its_default():
    from model.data.crops import AugmentationConfig  # noqa: PLC0415
    from model.training.folders import NETWORKS, FolderTrainingConfig  # noqa: PLC0415

    config = FolderTrainingConfig()
    known = {"folds": None, **vars(AugmentationConfig()), **vars(config)}
    rows = re.findall(r"^\| `--([\w-]+)` \| (\S+) \|", TEXT, re.MULTILINE)
    defaults = {name: known[name.replace("-", "_")] for name, _ in rows}
    shown = {
        name: "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in defaults.items()
    }

    assert len(rows) > 15
    assert shown == dict(rows)
    assert config.network in NETWORKS
