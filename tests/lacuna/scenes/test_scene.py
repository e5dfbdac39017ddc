"""A scene is segmented as by one call with the whole of it, and survives every interruption."""

import asyncio
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from lacuna.errors import (
    ChannelMismatchError,
    InvalidImageError,
    InvalidMaskError,
    LacunaError,
    SceneError,
)
from lacuna.geo.source import open_raster
from lacuna.sample import Sample
from lacuna.scenes.reading import check_bands
from lacuna.scenes.scene import run_scene
from lacuna.scenes.task import SceneTask
from lacuna.windows.support import compute_support
from tests.support.gridded import GriddedModel, draw_mask
from tests.support.scenes import GriddedRunner, read_raster, write_raster

NODATA = 7
GRIDDED = GriddedModel(8, 1)


def segment(task, runner=None, **options):
    return asyncio.run(run_scene(task, runner or GriddedRunner(), **options))


def draw_scene(size, seed=0, scale=40, valid=0.6):
    """Draw an image (H, W) whose invalid pixels, and no others, are NODATA; and its mask."""
    mask = draw_mask(size, seed, scale, valid)
    image = np.random.default_rng(seed).integers(8, 256, size).astype(np.uint8)
    return np.where(mask, image, np.uint8(NODATA)), mask


def answer_whole(image, mask, model=GRIDDED):
    return model.answer(Sample(image[:, :, None], mask))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def scene(tmp_path):
    image, mask = draw_scene((300, 210))
    path = write_raster(tmp_path / "scene.tif", image[None], nodata=NODATA)
    return path, image, mask


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    stride=st.sampled_from((1, 4, 8)),
    reach=st.integers(0, 2),
    side=st.integers(1, 120),
    seed=st.integers(0, 99),
    scale=st.sampled_from((5, 20, 60)),
    valid=st.sampled_from((0.0, 0.3, 0.7, 1.0)),
)
def test_windows_of_any_size_give_the_labels_of_the_whole(
    tmp_path_factory, size, stride, reach, side, seed, scale, valid
):
    folder = tmp_path_factory.mktemp("scene")
    image, mask = draw_scene(size, seed, scale, valid)
    source = write_raster(folder / "scene.tif", image[None], nodata=NODATA)
    runner = GriddedRunner(GriddedModel(stride, reach), window_pixels=side**2)

    result = segment(SceneTask(source, folder / "labels.tif"), runner)

    expected = answer_whole(image, mask, runner.gridded).labels
    assert np.array_equal(read_raster(result.output)[0], expected)
    assert result.valid_pixels == mask.sum()
    assert sum(area.pixels for area in result.areas.values()) == mask.sum()


def test_further_layers_are_those_of_the_whole(scene, tmp_path):
    source, image, mask = scene
    also = ("confidence", "support", "probabilities")

    result = segment(SceneTask(source, tmp_path / "labels.tif", also=also))

    whole = answer_whole(image, mask)
    read = {name: read_raster(tmp_path / f"labels-{name}.tif") for name in also}
    assert [path.name for path in result.others] == [f"labels-{name}.tif" for name in also]
    confidence = np.where(mask, whole.probabilities.max(axis=2), np.float32(np.nan))
    support = np.where(mask, compute_support(mask, 8), np.float32(np.nan))
    assert np.array_equal(read["confidence"][0], confidence, equal_nan=True)
    assert np.array_equal(read["support"][0], support, equal_nan=True)
    probabilities = np.where(mask[:, :, None], whole.probabilities, np.float32(np.nan))
    first = read["probabilities"][:2]
    assert np.array_equal(first, np.moveaxis(probabilities, 2, 0), equal_nan=True)


def test_the_output_lies_where_the_scene_does_and_names_the_model(scene, tmp_path):
    source, _, _ = scene

    result = segment(SceneTask(source, tmp_path / "labels.tif"))

    with rasterio.open(source) as before, rasterio.open(result.output) as after:
        assert (after.crs, after.transform, after.shape) == (
            before.crs,
            before.transform,
            before.shape,
        )
        assert (after.nodata, after.dtypes) == (255, ("uint8",))
        tags = after.tags()
    assert tags["LACUNA_MODEL"] == "gridded"
    assert (tags["LACUNA_MODEL_VERSION"], tags["LACUNA_MODEL_CHECKSUM"]) == ("1", "c0ffee")


def test_a_mask_of_the_same_size_counts(scene, tmp_path):
    source, image, mask = scene
    given_mask = np.random.default_rng(1).random(mask.shape) < 0.8
    path = write_raster(tmp_path / "mask.tif", given_mask[None].astype(np.uint8))

    result = segment(SceneTask(source, tmp_path / "labels.tif", mask=path))

    expected = answer_whole(image, mask & given_mask).labels
    assert np.array_equal(read_raster(result.output)[0], expected)


def test_a_nodata_value_stands_in_place_of_the_files(scene, tmp_path):
    source, image, _ = scene

    result = segment(SceneTask(source, tmp_path / "labels.tif", nodata=9))

    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, image != 9).labels)


def test_bands_are_chosen_by_number(scene, tmp_path):
    _, image, mask = scene
    bands = np.stack([np.zeros_like(image), image])
    source = write_raster(tmp_path / "bands.tif", bands, nodata=NODATA)

    result = segment(SceneTask(source, tmp_path / "labels.tif", bands=[2]))

    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)


def test_polygons_cover_what_is_valid(scene, tmp_path):
    source, _, mask = scene
    task = SceneTask(source, tmp_path / "labels.tif", polygons=tmp_path / "labels.geojson")

    result = segment(task)

    features = json.loads((tmp_path / "labels.geojson").read_text())["features"]
    assert sum(feature["properties"]["pixels"] for feature in features) == mask.sum()
    assert result.others == (tmp_path / "labels.geojson",)


def test_windows_without_data_are_not_run(tmp_path):
    image = np.full((400, 400), NODATA, np.uint8)
    image[:30, :30] = 100
    source = write_raster(tmp_path / "scene.tif", image[None], nodata=NODATA)
    runner = GriddedRunner()

    segment(SceneTask(source, tmp_path / "labels.tif"), runner)

    assert len(runner.kept) == 1


def test_a_scene_without_data_gives_labels_without_data(tmp_path):
    image = np.full((1, 90, 70), NODATA, np.uint8)
    source = write_raster(tmp_path / "scene.tif", image, nodata=NODATA)

    result = segment(SceneTask(source, tmp_path / "labels.tif"))

    assert (read_raster(result.output) == 255).all()
    assert result.valid_pixels == 0


def test_progress_ends_with_all_pixels(scene, tmp_path):
    source, image, _ = scene
    seen = []

    segment(SceneTask(source, tmp_path / "labels.tif"), on_progress=seen.append)

    pixels = [progress.pixels for progress in seen]
    assert pixels == sorted(pixels)
    assert (pixels[0], pixels[-1]) == (0, image.size)


@pytest.mark.parametrize("overwrite", [False, True])  # --resume replaces outputs, too
@pytest.mark.parametrize("windows", [0, 1, 4, 7])
def test_an_interrupted_run_is_continued_to_the_same_bytes(scene, tmp_path, windows, overwrite):
    source, _, _ = scene
    whole = segment(SceneTask(source, tmp_path / "whole.tif", also=("support",)))
    task = SceneTask(source, tmp_path / "labels.tif", also=("support",))
    all_windows = GriddedRunner()
    segment(replace(task, output=tmp_path / "again.tif"), all_windows)

    with pytest.raises(SceneError, match="must not be asked"):
        segment(task, GriddedRunner(fails_after=windows))
    assert not task.output.exists()
    rest = GriddedRunner()
    result = segment(replace(task, resume=True, overwrite=overwrite), rest)

    assert digest(result.output) == digest(whole.output)
    assert digest(tmp_path / "labels-support.tif") == digest(tmp_path / "whole-support.tif")
    left = len(all_windows.kept) - windows
    assert left <= len(rest.kept) <= left + rest.concurrency
    assert not (tmp_path / "labels.tif.partial").exists()


def test_half_a_line_of_the_journal_is_a_window_that_is_not_done(scene, tmp_path):
    source, image, mask = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=4))
    journal = tmp_path / "labels.tif.partial" / "journal"
    journal.write_bytes(journal.read_bytes()[:-3])

    result = segment(replace(task, resume=True))

    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)


@pytest.mark.parametrize("damage", ["gone", "empty", "line"])
def test_what_a_power_cut_has_taken_is_done_again(scene, tmp_path, damage):
    source, image, mask = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=4))
    folder = tmp_path / "labels.tif.partial"
    piece = next(folder.glob("labels-*.tif"))
    if damage == "gone":
        piece.unlink()
    elif damage == "empty":
        piece.write_bytes(b"")
    else:
        with (folder / "journal").open("ab") as file:
            file.write(bytes(20) + b"\n")

    result = segment(replace(task, resume=True))

    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)


def test_a_run_that_has_done_nothing_is_no_obstacle(scene, tmp_path):
    source, _, _ = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=0))

    result = segment(replace(task, nodata="none"))

    assert (read_raster(result.output)[0] != 255).all()


def test_what_is_unfinished_is_neither_overwritten_nor_continued_without_being_told(
    scene, tmp_path
):
    source, image, mask = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=7))

    with pytest.raises(SceneError, match="unfinished run"):
        segment(task)
    runner = GriddedRunner()
    result = segment(replace(task, overwrite=True), runner)

    assert len(runner.kept) > 8
    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)


@pytest.mark.parametrize(
    ("changes", "runner", "what"),
    [
        ({"nodata": 3}, GriddedRunner(), "nodata"),
        ({"also": ("support",)}, GriddedRunner(), "layers"),
        ({}, GriddedRunner(version="2"), "model"),
        ({}, GriddedRunner(window_pixels=400**2), "window"),
    ],
)
def test_a_run_is_not_continued_with_something_else(scene, tmp_path, changes, runner, what):
    source, _, _ = scene
    task = SceneTask(source, tmp_path / "labels.tif", resume=True)
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=7))

    with pytest.raises(SceneError, match=f"the same {what}"):
        segment(replace(task, **changes), runner)


def test_a_run_is_not_continued_with_a_scene_that_has_changed(scene, tmp_path):
    source, image, _ = scene
    task = SceneTask(source, tmp_path / "labels.tif", resume=True)
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=7))
    write_raster(source, image[None, ::-1], nodata=NODATA, compress="lzw")

    with pytest.raises(SceneError, match="the same file"):
        segment(task)


def test_a_run_is_not_continued_with_a_mask_beside_the_scene_that_has_changed(scene, tmp_path):
    source, image, _ = scene
    sidecar = source.with_name("scene.tif.msk")
    write_raster(sidecar, np.full_like(image, 255)[None], compress="deflate")
    task = SceneTask(source, tmp_path / "labels.tif", resume=True)
    with pytest.raises(SceneError):
        segment(task, GriddedRunner(fails_after=7))
    write_raster(sidecar, np.zeros_like(image)[None], compress="lzw")

    with pytest.raises(SceneError, match="the same file"):
        segment(task)


def test_a_second_run_with_the_same_output_is_refused_while_the_first_is_at_work(scene, tmp_path):
    source, image, mask = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    refused = []

    def begin_another(_):
        for changes in ({"overwrite": True, "nodata": "none"}, {"resume": True}, {}):
            begun = run_scene(replace(task, **changes), GriddedRunner())
            with pytest.raises(SceneError, match="another one is at work"):
                begun.send(None)
            refused.append(changes)

    result = segment(task, on_progress=begin_another)

    assert len(refused) > 3
    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)


@pytest.mark.parametrize("name", ["scene.tif", "scene.vrt"])
def test_an_output_that_is_an_input_is_refused(scene, tmp_path, name):
    source, _, _ = scene
    before = digest(source)
    rasterio.shutil.copy(source, tmp_path / "scene.vrt", driver="VRT")

    with pytest.raises(SceneError, match=r"must not be an input; .*scene\.tif is one"):
        segment(SceneTask(tmp_path / name, source, overwrite=True))

    assert digest(source) == before
    assert not (tmp_path / "scene.tif.partial").exists()


@pytest.mark.parametrize("kind", ["labels", "layer", "polygons"])
def test_an_output_that_exists_is_refused_before_anything_is_read(scene, tmp_path, kind):
    source, _, _ = scene
    existing = {
        "labels": tmp_path / "labels.tif",
        "layer": tmp_path / "labels-support.tif",
        "polygons": tmp_path / "labels.geojson",
    }[kind]
    existing.write_bytes(b"mine")
    runner = GriddedRunner()
    task = SceneTask(
        source, tmp_path / "labels.tif", also=("support",), polygons=tmp_path / "labels.geojson"
    )

    with pytest.raises(SceneError, match=f"{existing.name} exists"):
        segment(task, runner)

    assert existing.read_bytes() == b"mine"
    assert runner.kept == []
    segment(replace(task, overwrite=True))
    assert existing.read_bytes() != b"mine"


def test_a_failure_leaves_the_output_that_there_was(scene, tmp_path):
    source, _, _ = scene
    output = tmp_path / "labels.tif"
    output.write_bytes(b"mine")

    with pytest.raises(SceneError, match="must not be asked"):
        segment(SceneTask(source, output, overwrite=True), GriddedRunner(fails_after=3))

    assert output.read_bytes() == b"mine"


def test_a_model_that_was_replaced_meanwhile_leaves_nothing(scene, tmp_path):
    source, _, _ = scene

    with pytest.raises(SceneError, match="must not be replaced"):
        segment(SceneTask(source, tmp_path / "labels.tif"), GriddedRunner(confirms=False))

    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_model_whose_answers_depend_on_padding_gets_the_whole_scene_or_none(scene, tmp_path):
    source, image, mask = scene
    whole = GriddedRunner(is_exact=False, window_pixels=image.size)
    smaller = GriddedRunner(is_exact=False, window_pixels=image.size - 1)

    result = segment(SceneTask(source, tmp_path / "labels.tif"), whole)

    assert np.array_equal(read_raster(result.output)[0], answer_whole(image, mask).labels)
    assert len(whole.kept) == 1
    with pytest.raises(SceneError, match="would leave seams"):
        segment(SceneTask(source, tmp_path / "other.tif"), smaller)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda folder: {"source": folder / "missing.tif"}, InvalidImageError),
        (lambda folder: {"output": folder / "none" / "labels.tif"}, SceneError),
        (lambda folder: {"output": folder}, SceneError),
        (lambda folder: {"mask": folder / "missing.tif"}, LacunaError),
        (lambda folder: {"bands": [3]}, ChannelMismatchError),
        (lambda folder: {"polygons": folder / "labels.docx"}, LacunaError),
    ],
)
def test_a_mistake_is_told_before_any_window_is_run(scene, tmp_path, make, error):
    source, _, _ = scene
    runner = GriddedRunner()
    arguments = {"source": source, "output": tmp_path / "labels.tif"} | make(tmp_path)

    with pytest.raises(error):
        segment(SceneTask(**arguments), runner)

    assert runner.kept == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


def test_a_mask_of_another_size_is_refused(scene, tmp_path):
    source, _, _ = scene
    path = write_raster(tmp_path / "mask.tif", np.ones((1, 299, 210), np.uint8))

    with pytest.raises(InvalidMaskError, match="300×210, mask is 299×210"):
        segment(SceneTask(source, tmp_path / "labels.tif", mask=path))


def test_a_mask_is_refused_for_a_scene_with_another_one_beside_it(scene, tmp_path):
    source, image, _ = scene
    path = write_raster(tmp_path / "mask.tif", np.ones_like(image)[None])
    write_raster(source.with_name("scene.tif.msk"), np.full_like(image, 255)[None])

    with pytest.raises(InvalidMaskError, match=r"scene\.tif\.msk must not lie beside"):
        segment(SceneTask(source, tmp_path / "labels.tif", mask=path))

    assert not (tmp_path / "labels.tif.partial").exists()


def test_a_damaged_block_ends_the_run_and_what_is_done_is_kept(tmp_path):
    image, _ = draw_scene((600, 300), valid=1.0)
    source = write_raster(
        tmp_path / "scene.tif", image[None], tiled=True, blockxsize=64, blockysize=64,
        compress="deflate",
    )  # fmt: skip
    content = bytearray(source.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = b"\xff" * 2000
    source.write_bytes(content)
    runner = GriddedRunner()

    with pytest.raises(InvalidImageError):
        segment(SceneTask(source, tmp_path / "labels.tif"), runner)

    assert not (tmp_path / "labels.tif").exists()
    assert 0 < len(runner.kept) < 50
    assert len((tmp_path / "labels.tif.partial" / "journal").read_text().splitlines()) > 1


def test_windows_unlike_the_training_data_are_told_once(scene, tmp_path):
    source, _, _ = scene

    class Unfamiliar:
        def check(self, sample):
            return "it is bright"

    result = segment(SceneTask(source, tmp_path / "a.tif"), GriddedRunner(familiar=Unfamiliar()))

    (warning,) = result.warnings
    assert warning.code == "unlike_training"
    assert segment(SceneTask(source, tmp_path / "b.tif")).warnings == ()


def test_what_is_doubtful_about_a_file_is_told(tmp_path):
    varied = np.random.default_rng(0).integers(1, 256, (2, 64, 64)).astype(np.uint8)
    source = write_raster(tmp_path / "scene.tif", varied)
    with rasterio.open(source, "r+") as file:
        file.colorinterp = (ColorInterp.gray, ColorInterp.alpha)

    result = segment(SceneTask(source, tmp_path / "labels.tif"))

    (warning,) = result.warnings
    assert warning.code == "doubtful_image"
    assert "alpha" in warning.message


def test_a_mismatch_of_bands_is_told_with_both_lists(tmp_path):
    source = write_raster(tmp_path / "scene.tif", np.ones((2, 20, 20), np.uint8))
    with rasterio.open(source, "r+") as file:
        file.descriptions = ("red", "swir")
    model = replace(GriddedRunner().model, bands=("nir",))

    with open_raster(source) as raster, pytest.raises(ChannelMismatchError) as caught:
        check_bands(raster, model)

    assert "takes 1 channel (nir); the image has 2 (red, swir)" in caught.value.message
