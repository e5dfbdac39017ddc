"""Rasters among the images of `lacuna segment` are scenes: window by window, in their grid."""

import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image

from lacuna.cli import main
from lacuna.raster.limits import ImageLimits
from tests.support.apps import load_demo
from tests.support.live import serve_live
from tests.support.scenes import read_raster, write_raster
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-c", "from lacuna.cli import main; main()", "segment"]
MODEL = ("--model", "groundcover")


def run(*arguments):
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


@pytest.fixture
def scene(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (3, 90, 120)).astype(np.uint8)
    image[:, 20:50, 30:70] = 0
    return write_raster(tmp_path / "scene.tif", image, nodata=0)


def test_a_raster_becomes_labels_in_its_grid(scene, tmp_path, segment):
    output = tmp_path / "labels.tif"

    result = segment(scene, "-o", output, "--also", "support,confidence")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{output}: 90×120, 88.9% valid; grass ")
    with rasterio.open(scene) as before, rasterio.open(output) as after:
        assert (after.crs, after.transform) == (before.crs, before.transform)
    assert ((read_raster(output)[0] == 255) == (read_raster(scene)[0] == 0)).all()
    assert (tmp_path / "labels-support.tif").exists()
    assert (tmp_path / "labels-confidence.tif").exists()


def test_the_labels_are_those_of_an_image_and_of_servers(scene, tmp_path):
    with (
        serve_live(load_demo()) as one,
        serve_live(load_demo()) as other,
    ):
        urls = ["--url", f"http://{one}", "--url", f"http://{other}"]
        assert run(scene, "-o", tmp_path / "here.tif", *MODEL).exit_code == 0
        assert run(scene, "-o", tmp_path / "there.tif", *urls).exit_code == 0
        assert run(scene, "-o", tmp_path / "image.npy", *MODEL).exit_code == 0
        assert run(scene, "-o", tmp_path / "sent.npy", *urls).exit_code == 0

    labels = read_raster(tmp_path / "here.tif")[0]
    assert (tmp_path / "here.tif").read_bytes() == (tmp_path / "there.tif").read_bytes()
    assert np.array_equal(np.load(tmp_path / "image.npy"), labels)
    assert np.array_equal(np.load(tmp_path / "sent.npy"), labels)


def test_a_picture_that_a_server_refuses_for_its_size_is_a_scene(tmp_path):
    picture = tmp_path / "picture.png"
    values = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    Image.fromarray(values).save(picture)
    repository = load_demo()
    limits = ImageLimits(image_pixels=180**2)

    with serve_live(repository, image_limits=limits) as address:
        url = f"http://{address}"
        result = run(picture, "-o", tmp_path / "labels.tif", "--url", url)
        refused = run(picture, "-o", tmp_path / "labels.npy", "--url", url)

    assert result.exit_code == 0, result.output
    assert run(picture, "-o", tmp_path / "here.npy", *MODEL).exit_code == 0
    labels = read_raster(tmp_path / "labels.tif")[0]
    assert np.array_equal(labels, np.load(tmp_path / "here.npy"))
    assert refused.exit_code == 1
    assert "at most 32400 pixels" in refused.stderr


def test_a_folder_of_rasters_is_a_folder_of_scenes_and_what_is_done_is_skipped(
    scene, tmp_path, segment
):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        (folder / name).write_bytes(scene.read_bytes())
    arguments = [folder, "-o", tmp_path / "out", "--format", "tif", "--also", "support"]

    first = segment(*arguments, "--polygons", ".geojson")
    (tmp_path / "out" / "b-support.tif").unlink()
    second = segment(*arguments, "--polygons", ".geojson", "--resume")

    assert first.exit_code == 0, first.output
    assert "2 segmented" in first.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "a.tif", "a-support.tif", "a.geojson", "b.tif", "b-support.tif", "b.geojson"
    }  # fmt: skip
    assert "1 segmented, 1 done before" in second.stdout


def test_a_scene_that_fails_does_not_stop_the_others(scene, tmp_path, segment):
    folder = tmp_path / "scenes"
    folder.mkdir()
    (folder / "a.tif").write_bytes(scene.read_bytes()[:300])
    (folder / "b.tif").write_bytes(scene.read_bytes())

    result = segment(folder, "-o", tmp_path / "out", "--format", "tif")

    assert result.exit_code == 3
    assert "a.tif: " in result.stderr
    assert (tmp_path / "out" / "b.tif").exists()
    assert not (tmp_path / "out" / "a.tif").exists()


def test_a_name_of_gdal_is_a_scene(scene, tmp_path, segment):
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as archive:
        archive.write(scene, "inside/scene.tif")

    result = segment(
        f"/vsizip/{tmp_path}/scenes.zip/inside/scene.tif", "-o", tmp_path / "labels.tif"
    )

    assert result.exit_code == 0, result.output
    assert read_raster(tmp_path / "labels.tif").shape == (1, 90, 120)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "labels.png", "--also", "support"], "must end in .tif"),
        (["-o", "labels.tif", "--also", "beauty"], "must be of confidence, support"),
        (["-o", "labels.tif", "--also", "support", "--overlay"], "need whole images"),
        (["-o", "labels.tif", "--polygons", "labels.docx"], "docx"),
        (["-o", "labels.tif", "--bands", "9,1,2"], "bands must be of the 3"),
        (["-o", "labels.tif", "--resume", "--overwrite"], "must not be combined"),
        (["-o", "labels.tif", "--min-area", "9"], "needs --polygons"),
    ],
)
def test_a_mistake_is_told_in_a_line(scene, tmp_path, monkeypatch, arguments, message, segment):
    monkeypatch.chdir(tmp_path)

    result = segment(scene, *arguments)

    assert result.exit_code > 0
    assert message in result.stderr
    assert len(result.stderr.splitlines()) <= 4
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_polygons_are_written_in_the_process_of_the_model(
    small_repository, scene, tmp_path, suffix
):
    polygons = tmp_path / f"labels{suffix}"
    arguments = [scene, "-o", tmp_path / "labels.tif", "--polygons", polygons]
    arguments += ["--model-repository", small_repository]

    # TensorFlow brings an SQLite of its own; a process that has not loaded it yet would not tell.
    result = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False
    )

    assert result.returncode == 0, result.stderr
    assert polygons.stat().st_size > 300


_SECOND_CALL = """
import sys
from lacuna import segment_scene
scene, folder, model = sys.argv[1:]
segment_scene(scene, folder + "/first.tif", model_repository=model)
segment_scene(
    scene, folder + "/labels.tif", polygons=folder + "/labels.gpkg", model_repository=model
)
"""
_TOO_LATE = """
import sys
import tensorflow
from lacuna import segment_scene
segment_scene(sys.argv[1], sys.argv[2] + "/labels.tif", polygons=sys.argv[2] + "/labels.gpkg")
"""


def run_program(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_second_scene_of_a_program_can_have_polygons_that_the_first_had_not(
    small_repository, scene, tmp_path
):
    result = run_program(_SECOND_CALL, scene, tmp_path, small_repository)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "labels.gpkg").exists()


def test_a_geopackage_that_would_have_no_index_is_refused_before_anything_is_done(scene, tmp_path):
    result = run_program(_TOO_LATE, scene, tmp_path)

    assert "SceneError: a .gpkg needs pyogrio to be imported before tensorflow" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_mask_beside_a_scene_cannot_be_left_out(scene, tmp_path, segment):
    write_raster(tmp_path / "mask.tif", np.full((1, 90, 120), 255, np.uint8)).rename(
        tmp_path / "scene.tif.msk"
    )

    result = segment(scene, "--mask", "none", "-o", tmp_path / "labels.tif")

    assert result.exit_code == 2
    assert "cannot leave out" in result.stderr


def test_a_suffix_is_needed_for_the_polygons_of_several_scenes(scene, tmp_path, segment):
    (tmp_path / "other.tif").write_bytes(scene.read_bytes())

    result = segment(
        scene, tmp_path / "other.tif", "-o", tmp_path / "out", "--format", "tif",
        "--polygons", "all.gpkg",
    )  # fmt: skip

    assert result.exit_code == 2
    assert "must be a suffix such as .gpkg" in result.stderr


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A scene of 25 windows, and its labels of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("large")
    image = np.random.default_rng(0).integers(1, 256, (3, 3400, 3400)).astype(np.uint8)
    scene = write_raster(folder / "scene.tif", image, nodata=0, tiled=True)
    assert run(scene, "-o", folder / "whole.tif", *MODEL).exit_code == 0
    return scene, folder / "whole.tif"


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_interrupted_is_continued_to_the_same_bytes(large, tmp_path, sent):
    scene, whole = large
    journal = tmp_path / "labels.tif.partial" / "journal"

    with subprocess.Popen(
        [*COMMAND, scene, "-o", tmp_path / "labels.tif", *MODEL], stderr=subprocess.PIPE, text=True
    ) as process:
        assert wait_until(
            lambda: journal.exists() and len(journal.read_text().splitlines()) > 1, 60
        )
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
    result = run(scene, "-o", tmp_path / "labels.tif", *MODEL, "--resume")

    assert process.returncode != 0
    if sent == signal.SIGINT:
        assert "--resume goes on from there" in errors
    assert result.exit_code == 0, result.output
    assert (tmp_path / "labels.tif").read_bytes() == whole.read_bytes()
