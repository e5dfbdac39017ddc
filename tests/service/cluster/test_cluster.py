"""Scenes and images over a cluster of several nodes: the bytes that this machine alone gives.

A node is killed in the middle, a run is stopped and continued, and files and models are damaged.
"""

import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lacuna.cli import main
from service.platforms import DEMO_REPOSITORY
from tests.support.ray_nodes import make_environment, run_nodes
from tests.support.scenes import write_raster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from lacuna.cli import main; main()", "segment"]
SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"
MODEL = ["--model", "groundcover"]
LAYERS = [*MODEL, "--also", "support,confidence"]
LIMIT_S = 240


@pytest.fixture(scope="module")
def nodes():
    with run_nodes(2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scene of nine windows, and the layers that this machine gives."""
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (3, 2100, 2300)).astype(np.uint8)
    image[:, 300:1500, 200:900] = 0
    write_raster(folder / "scene.tif", image, nodata=0, tiled=True, compress="deflate")
    arguments = ["segment", folder / "scene.tif", "-o", folder / "here.tif", *LAYERS]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return folder


def start(nodes, *arguments):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--ray", nodes.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=make_environment(),
    )


def run(nodes, *arguments):
    with start(nodes, *arguments) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    return process.returncode, output, errors


def wait_for_window(output):
    journal = output.with_name(f"{output.name}.partial") / "journal"
    assert wait_until(
        lambda: journal.exists() and len(journal.read_text().splitlines()) > 1, LIMIT_S
    )


def read_layers(folder, name):
    layers = [f"{name}.tif", f"{name}-support.tif", f"{name}-confidence.tif"]
    return [(folder / layer).read_bytes() for layer in layers]


def test_a_scene_has_the_bytes_of_this_machine(nodes, folder):
    status, output, errors = run(nodes, folder / "scene.tif", "-o", folder / "there.tif", *LAYERS)

    assert (status, errors) == (0, "")
    assert output.startswith(f"{folder}/there.tif: 2100×2300, 82.6% valid; grass ")
    assert read_layers(folder, "there") == read_layers(folder, "here")


def test_images_have_the_bytes_of_this_machine(nodes, tmp_path):
    inputs = tmp_path / "images"
    inputs.mkdir()
    for path in SAMPLES.glob("*.png"):
        shutil.copy(path, inputs)
    (inputs / "damaged.png").write_bytes((SAMPLES / "swath.png").read_bytes()[:3000])
    with Image.open(SAMPLES / "swath.png") as picture:
        picture.convert("RGB").crop((0, 0, 100, 90)).save(inputs / "small.jpg")
    options = [inputs, "--mask", "{stem}-mask.png", "--mask-optional", "--overlay", *MODEL]

    status, output, errors = run(nodes, *options, "-o", tmp_path / "there")
    local = CliRunner().invoke(main, ["segment", *map(str, options), "-o", str(tmp_path / "here")])

    assert status == local.exit_code == 3
    assert "damaged.png" in errors
    assert "Traceback" not in errors
    assert "5 segmented, 1 failed" in output
    written = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert len(written) == 10


_PROGRAM = """
import sys
from lacuna import segment_scene
seen = []
result = segment_scene(*sys.argv[1:3], ray=sys.argv[3], model="groundcover",
                       also=["support", "confidence"], on_progress=seen.append)
assert result.size == (2100, 2300)
assert [seen[0].pixels, seen[-1].pixels, seen[-1].all_pixels] == [0, 2100 * 2300, 2100 * 2300]
"""


def test_a_program_has_the_bytes_of_this_machine(nodes, folder):
    arguments = [folder / "scene.tif", folder / "program.tif", nodes.address]

    subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)], check=True, timeout=LIMIT_S
    )

    assert read_layers(folder, "program") == read_layers(folder, "here")


def test_a_run_that_is_stopped_is_continued_to_the_same_bytes(nodes, folder):
    arguments = [folder / "scene.tif", "-o", folder / "again.tif", *LAYERS]

    with start(nodes, *arguments) as process:
        wait_for_window(folder / "again.tif")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    stopped = process.returncode
    status, _, more_errors = run(nodes, *arguments, "--resume")

    assert stopped == 1
    assert errors == "Error: stopped after 0 of 1 images; --resume goes on from there\n"
    assert (status, more_errors) == (0, "")
    assert read_layers(folder, "again") == read_layers(folder, "here")


def test_a_scene_that_cannot_be_read_in_the_middle_is_one_line(nodes, folder):
    content = bytearray((folder / "scene.tif").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300_000] = bytes(300_000)
    (folder / "damaged.tif").write_bytes(content)

    status, _, errors = run(nodes, folder / "damaged.tif", "-o", folder / "never.tif")

    assert status == 1
    assert "damaged.tif" in errors
    assert "Traceback" not in errors
    assert not (folder / "never.tif").exists()


def test_a_model_that_no_node_can_load_is_one_line(nodes, folder, tmp_path):
    model = tmp_path / "broken" / "1"
    shutil.copytree(DEMO_REPOSITORY / "groundcover" / "1", model)
    (model / "saved_model.pb").write_bytes(b"no graph")

    status, _, errors = run(
        nodes, folder / "scene.tif", "-o", folder / "never.tif", "--model-repository", tmp_path
    )

    assert status == 1
    assert errors.startswith("Error: ")
    assert "broken" in errors
    assert len(errors.splitlines()) == 1
    assert not (folder / "never.tif").exists()


def test_a_node_that_is_killed_costs_its_windows_alone(nodes, folder):
    """Last but one, because the node does not come back."""
    with start(nodes, folder / "scene.tif", "-o", folder / "killed.tif", *LAYERS) as process:
        wait_for_window(folder / "killed.tif")
        nodes.kill_node()
        output, errors = process.communicate(timeout=LIMIT_S)

    assert (process.returncode, errors) == (0, "")
    assert output.count("\n") == 1
    assert read_layers(folder, "killed") == read_layers(folder, "here")


def test_a_single_cpu_gives_the_same_bytes(nodes, folder):
    options = ["--concurrency", "1", *LAYERS]

    status, _, errors = run(nodes, folder / "scene.tif", "-o", folder / "one.tif", *options)

    assert (status, errors) == (0, "")
    assert read_layers(folder, "one") == read_layers(folder, "here")
