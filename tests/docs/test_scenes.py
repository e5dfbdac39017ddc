"""docs/scenes.md is run, on small rasters made on the spot."""

import json
import re
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from lacuna.cli import main
from tests.support.apps import load_demo
from tests.support.live import serve_live
from tests.support.scenes import read_raster, write_raster

TEXT = (Path(__file__).parents[2] / "docs" / "scenes.md").read_text()
SHELL = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
(PYTHON,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder after all commands have run in it."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (3, 96, 128)).astype(np.uint8)
    image[:, :30] = 0
    write_raster(folder / "scene.tif", image, nodata=0)
    sky = np.ones((1, 96, 128), np.uint8)
    sky[:, 60:, 80:] = 0
    write_raster(folder / "clear-sky.tif", sky)
    bands = write_raster(
        folder / "landsat.tif", rng.integers(1, 256, (7, 96, 128)).astype(np.uint8)
    )
    with rasterio.open(bands, "r+") as file:
        file.descriptions = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
    with serve_live(load_demo("aerial")) as address, chdir(folder):
        for line in SHELL:
            program, *rest = shlex.split(line.replace("127.0.0.1:8000", address))
            assert program == "lacuna"
            result = CliRunner().invoke(main, rest)
            assert result.exit_code == 0, f"{line}\n{result.output}"
    return folder


def find_missing(folder, name):
    return read_raster(folder / name)[0] == 255


def test_the_labels_lie_on_the_scene(folder):
    with (
        rasterio.open(folder / "scene.tif") as scene,
        rasterio.open(folder / "labels.tif") as labels,
    ):
        assert (labels.crs, labels.transform, labels.shape) == (
            scene.crs,
            scene.transform,
            scene.shape,
        )
        assert (labels.block_shapes, labels.nodata) == ([(96, 128)], 255) or labels.profile["tiled"]
        assert labels.colormap(1)[255][3] == 0
        assert labels.tags()["LACUNA_MODEL"] == "aerial"
    names = (folder / "labels.tif.aux.xml").read_text()
    assert "<Category>vegetation</Category>" in names


def test_missing_pixels_are_those_that_are_said_to_be(folder):
    black = (read_raster(folder / "scene.tif") == 0).all(axis=0)
    cloudy = read_raster(folder / "clear-sky.tif")[0] == 0

    assert np.array_equal(find_missing(folder, "black-is-missing.tif"), black)
    assert not find_missing(folder, "nothing-is-missing.tif").any()
    assert np.array_equal(find_missing(folder, "without-clouds.tif"), black | cloudy)


def test_bands_by_number_and_by_name_are_the_same(folder):
    assert np.array_equal(
        read_raster(folder / "from-numbers.tif"), read_raster(folder / "from-names.tif")
    )


def test_servers_give_the_same_bytes(folder):
    first = (folder / "labels.tif").read_bytes()

    assert (folder / "from-servers.tif").read_bytes() == first


def test_a_run_that_is_complete_leaves_nothing_beside_its_output(folder):
    assert not list(folder.glob("*.partial"))


def test_confidence_and_support_are_from_0_to_1(folder):
    for layer in ("confidence", "support"):
        values = read_raster(folder / f"judged-{layer}.tif")[0]
        assert np.array_equal(np.isnan(values), find_missing(folder, "judged.tif"))
        assert 0 < np.nanmin(values) <= np.nanmax(values) <= 1


def test_polygons_have_the_properties_that_are_named(folder):
    features = json.loads((folder / "areas.geojson").read_text())["features"]

    for name in ("class", "name", "pixels", "area_m2", "confidence"):
        assert f"`{name}`" in TEXT
        assert all(name in feature["properties"] for feature in features)
    valid = np.count_nonzero(~find_missing(folder, "areas.tif"))
    assert sum(feature["properties"]["pixels"] for feature in features) == valid


def test_the_python_lines_print_areas(folder):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PYTHON],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert re.match(r"\d+ valid pixels\nbuilding: \d+%\n", result.stdout)
