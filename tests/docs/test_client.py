"""The examples of docs/client.md are run, on a server of the demo's default model."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lacuna import client
from lacuna.cli.completion import SHELLS
from tests.support.apps import load_demo
from tests.support.live import serve_live

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "client.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```sh\n(.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)
LACUNA = [sys.executable, "-c", "from lacuna.cli import main; main()"]


@pytest.fixture(scope="module")
def address():
    with serve_live(load_demo("aerial")) as address:
        yield address


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "service").symlink_to(ROOT / "service")
    return tmp_path


def run(command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_python(number, address, folder):
    code = PYTHON[number].replace("127.0.0.1:8000", address)
    return run([sys.executable, "-W", "error", "-c", code], folder)


def run_shell(number, address, folder):
    program, *rest = shlex.split(SHELL[number].replace("127.0.0.1:8000", address))
    return run([*(LACUNA if program == "lacuna" else [program]), *rest], folder)


def test_the_first_lines_segment_and_save(address, folder):
    assert "Area(pixels=" in run_python(0, address, folder)
    with Image.open(folder / "overlay.png") as overlay, Image.open(folder / "labels.png") as labels:
        assert overlay.size == labels.size == (512, 512)


def test_an_array_of_xarray_leads_to_one(address, folder):
    label, meanings = run_python(1, address, folder).splitlines()

    assert 0 <= int(label) < len(meanings.split())


def test_many_images_are_mapped(address, folder):
    lines = run_python(2, address, folder).splitlines()

    assert lines[0] == "clouds.png 65% valid"
    assert len(lines) == 4


def test_an_event_loop_asks_the_same(address, folder):
    assert run_python(3, address, folder) == "(512, 512)\n"


def test_errors_are_caught_by_what_can_be_done(address, folder):
    assert run_python(4, address, folder).startswith("invalid_mask mask must have the image's")


def test_a_triton_client_gets_labels(address, folder):
    assert "255" in run_python(5, address, folder)


def test_the_command_line_segments_a_folder(address, folder):
    assert "4 segmented" in run_shell(0, address, folder)
    assert len(list((folder / "labels").glob("*-overlay.png"))) == 4


def test_the_command_line_tries_a_protocol(address, folder):
    run_shell(1, address, folder)

    assert json.loads((folder / "swath.json").read_text())["model"]["name"] == "aerial"


def test_curl_gets_a_picture(address, folder):
    run_shell(2, address, folder)

    with Image.open(folder / "curl.png") as labels:
        assert labels.size == (512, 512)


def test_every_example_is_run():
    assert (len(PYTHON), len(SHELL)) == (6, 3)


def test_every_error_of_the_client_is_documented():
    for name in client.__all__:
        kind = getattr(client, name)
        if name.endswith("Error"):
            assert f"`{name}` (`{kind.code}`)" in TEXT.replace("\n", " ")


def test_every_shell_is_documented():
    assert all(f"lacuna completion {shell}" in TEXT for shell in SHELLS)
