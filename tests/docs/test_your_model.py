"""The recipes are followed to the letter, and what they make is served."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
from click.testing import CliRunner

from model.cli import main
from model.cli.adopt import adopt
from service.runtime.manifest import read_manifest
from tests.support.foreign import write_torch_unet

TEXT = (Path(__file__).parents[2] / "docs" / "your-model.md").read_text()
RECIPES = re.findall(r"^```python\n(.*?)^```\n\n```sh\n(.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)
NAMES = ["buildings", "cover", "fixed", "torch", "unet"]


def follow(script, command, folder):
    """Make the network of a recipe, and adopt it."""
    if "import torch" in script:  # PyTorch is no dependency; the file is the same
        write_torch_unet(folder / "unet.onnx")
    else:
        exec(compile(script, "recipe", "exec"), {"__name__": "recipe"})  # noqa: S102
    program, *arguments = shlex.split(command)
    assert program == "lacuna-model"
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The repository that the recipes make."""
    folder = tmp_path_factory.mktemp("recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for script, command in RECIPES:
            result = follow(script, command, folder)
            assert result.exit_code == 0, f"{command}: {result.output}"
    return folder / "models"


def ask(server, name, height, width):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3)).tolist()
    mask = (rng.random((height, width)) < 0.9).tolist()
    body = {"instances": [{"image": image, "mask": mask}], "signature_name": "labels"}
    answer = httpx2.post(f"{server}/v1/models/{name}:predict", json=body, timeout=60).json()
    return np.array(mask), np.array(answer["predictions"][0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_models_of_all_recipes_are_served_side_by_side(models):
    assert sorted(path.name for path in models.iterdir()) == NAMES
    command = [sys.executable, "-c", "from lacuna.cli import main; main()", "serve", "--port", "0"]
    options = ["--model-repository", str(models)]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = []
            while sum('"model ready"' in line for line in lines) < len(NAMES):
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)
            server = re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))[0]
            served = httpx2.get(f"{server}/v1/models").json()["models"]
            for entry in served:
                mask, labels = ask(server, entry["name"], 37, 53)
                assert (labels[~mask] == 255).all()
                assert (labels[mask] < len(entry["classes"])).all()
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
    assert process.returncode == 0
    told = {entry["name"]: entry["contract"]["served"] for entry in served}
    assert "in tiles of 512 × 512 pixels" in told["fixed"]
    for name in ("unet", "buildings", "torch"):
        assert told[name].startswith("Served in batches of one size, unpadded; images too large")
    manifests = {name: read_manifest(models / name / "1") for name in NAMES}
    assert [manifests[name].total_stride for name in ("buildings", "cover", "torch")] == [4, 4, 2]
    assert (models / "torch" / "1" / "model.onnx").is_file()


def test_there_are_five_recipes():
    assert len(RECIPES) == 5


def test_every_option_is_in_the_document():
    names = {option for parameter in adopt.params for option in parameter.opts if option != "-o"}

    documented = set(re.findall(r"`(--[a-z-]+)", TEXT))
    undocumented = {name for name in names if name.startswith("--")} - documented
    assert undocumented == {"--output"}
