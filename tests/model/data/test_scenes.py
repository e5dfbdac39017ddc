"""Scenes that are read by windows; files that are read whole, and rasterio, are the witnesses."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lacuna.windows.window import Window
from model.data.batches import SampleReader, draw_batch
from model.data.crops import AugmentationConfig, cut_scene
from model.data.facts import measure
from model.data.folders import load_sample, read_dataset
from model.data.overview import Overview
from model.data.reading import TrainingImage
from model.data.scenes import is_scene, open_scene
from tests.model.data.test_folders import faults_of
from tests.support.folders import write_description, write_folder
from tests.support.rasters import write_raster
from tests.support.scene_folders import (
    CRS,
    PLACE,
    TILES,
    UNKNOWN,
    draw_scene,
    outline,
    write_scene_folder,
)
from tests.support.vectors import write_features

CROPS = AugmentationConfig(crop=64)
LABELS = [".tif", ".gpkg", ".geojson", ".fgb"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same scenes, with labels of each kind."""
    root = tmp_path_factory.mktemp("scenes")
    return {suffix: write_scene_folder(root / suffix[1:], suffix) for suffix in LABELS}


@pytest.fixture(scope="module")
def dataset(folders):
    return read_dataset(folders[".tif"], scene_bytes=0)


def draw_crops(dataset, seed=3, steps=range(6)):
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    return [draw_batch(dataset, reader, CROPS, seed, step, 3, 4) for step in steps]


def same(first, second):
    return all(
        np.array_equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@given(st.integers(0, 599), st.integers(0, 699), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_a_window_is_a_slice_of_the_whole(dataset, top, left, height, width):
    entry = dataset.training[0]
    scene = open_scene(entry, dataset.description)
    window = Window(top, left, min(height, 600 - top), min(width, 700 - left))
    whole = load_sample(entry, dataset.description)

    for part, expected in zip(scene.read(window), whole, strict=True):
        np.testing.assert_array_equal(part, expected[window.slices])
        assert part.dtype == expected.dtype


@pytest.mark.parametrize("suffix", LABELS)
def test_a_scene_is_what_was_drawn_whatever_its_labels_are_kept_in(folders, suffix):
    dataset = read_dataset(folders[suffix], scene_bytes=0)
    scene = open_scene(dataset.training[0], dataset.description)
    sample = scene.read(Window(0, 0, 600, 700))
    image, valid, labels = draw_scene((600, 700), 0)

    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.mask, valid)
    np.testing.assert_array_equal(sample.labels, np.where(valid, labels, UNKNOWN))


@pytest.mark.parametrize("suffix", LABELS[1:])
@pytest.mark.parametrize("scene_bytes", [0, 1 << 30], ids=["windows", "whole"])
def test_rasters_and_polygons_of_the_same_labels_give_the_same_crops(folders, suffix, scene_bytes):
    rasters = read_dataset(folders[".tif"], scene_bytes)
    polygons = read_dataset(folders[suffix], scene_bytes)

    assert bool(polygons.scenes) == (scene_bytes == 0)
    assert same(draw_crops(rasters), draw_crops(polygons))
    assert rasters.class_pixels == polygons.class_pixels


def test_crops_depend_on_the_seed_and_the_step_alone(dataset):
    crops = draw_crops(dataset)

    assert same(crops[3:], draw_crops(dataset, steps=range(3, 6)))
    assert not same(crops, draw_crops(dataset, seed=4))


def test_every_crop_has_something_to_learn(dataset):
    assert all((labels != UNKNOWN).any(axis=(1, 2)).all() for _, _, labels in draw_crops(dataset))


def test_of_a_scene_with_one_labelled_pixel_each_crop_holds_it(tmp_path):
    labels = np.full((600, 700), UNKNOWN, np.uint8)
    labels[250, 410] = 1
    folder = write_scene_folder(tmp_path / "data")
    write_raster(folder / "labels" / "scene0.tif", labels[None], nodata=UNKNOWN, **PLACE, **TILES)
    dataset = read_dataset(folder, scene_bytes=0)
    scene = open_scene(dataset.training[0], dataset.description)
    overview = dataset.scenes["scene0"]

    for seed in range(20):
        piece = cut_scene(np.random.default_rng(seed), scene, overview, 10)
        assert (piece.labels != UNKNOWN).sum() == 1
        assert piece.labels.shape == (10, 10)


def test_facts_from_windows_are_those_of_the_whole(folders, dataset):
    whole = read_dataset(folders[".tif"])

    assert not whole.scenes
    assert set(dataset.scenes) == {"scene0", "scene1", "scene2"}
    assert dataset.normalization.means == pytest.approx(whole.normalization.means, rel=1e-12)
    assert dataset.normalization.scales == pytest.approx(whole.normalization.scales, rel=1e-12)
    assert dataset.class_pixels == whole.class_pixels
    assert dataset.sizes == whole.sizes
    assert dataset.valid_fraction == whole.valid_fraction
    assert dataset.description == whole.description
    for found, expected in zip(dataset.statistics, whole.statistics, strict=True):
        assert found[:4] == pytest.approx(expected[:4], rel=1e-4)


def test_the_digest_changes_with_a_valid_pixel_and_not_with_the_file(folders, dataset, tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    path = folder / "images" / "scene1.tif"
    with rasterio.open(path) as file:
        values = file.read()
    write_raster(path, values, nodata=0, **PLACE, compress="lzw")  # in strips
    assert read_dataset(folder, scene_bytes=0).digest == dataset.digest

    values[0, 100, 256] ^= 1
    write_raster(path, values, nodata=0, **PLACE, **TILES)
    assert read_dataset(folder, scene_bytes=0).digest != dataset.digest


def test_blocks_are_each_in_one_window_and_windows_cover_all(dataset):
    scene = open_scene(dataset.training[0], dataset.description)
    windows = scene.plan_windows()
    seen = np.zeros(scene.size, int)
    for window in windows:
        seen[window.slices] += 1
        assert window.top % 128 == window.left % 128 == 0

    assert (seen == 1).all()


def test_a_mask_takes_pixels_out_of_a_scene(folders, tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    (folder / "masks").mkdir()
    mask = np.ones((600, 700), np.uint8)
    mask[:300] = 0
    write_raster(folder / "masks" / "scene0.tif", mask[None], **PLACE, **TILES)
    dataset = read_dataset(folder, scene_bytes=0)
    sample = open_scene(dataset.training[0], dataset.description).read(Window(0, 0, 600, 700))

    valid = draw_scene((600, 700), 0)[1]
    np.testing.assert_array_equal(sample.mask, valid & (mask > 0))


def test_a_virtual_raster_is_read_by_windows_however_small(tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    path = folder / "images" / "scene0.tif"
    kept = path.rename(tmp_path / "kept.tif")
    rasterio.shutil.copy(kept, path.with_suffix(".vrt"), driver="VRT")
    dataset = read_dataset(folder)

    assert set(dataset.scenes) == {"scene0"}
    assert dataset.sizes["scene0"] == (600, 700)


def test_jpeg_2000_is_read_by_windows(tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    path = folder / "images" / "scene0.tif"
    lossless = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES", "nodata": 0}
    rasterio.shutil.copy(path, path.with_suffix(".jp2"), **lossless)
    path.unlink()
    write_description(folder, "nodata = 0")
    dataset = read_dataset(folder, scene_bytes=0)
    sample = open_scene(dataset.training[0], dataset.description).read(Window(300, 200, 64, 99))

    assert "scene0" in dataset.scenes
    image, valid, _ = draw_scene((600, 700), 0)
    np.testing.assert_array_equal(sample.image, image[300:364, 200:299])
    np.testing.assert_array_equal(sample.mask, valid[300:364, 200:299])


def test_bands_and_alpha_are_those_of_the_description(folders, tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".tif", "bands = [3, 1]")
    dataset = read_dataset(folder, scene_bytes=0)
    sample = open_scene(dataset.training[0], dataset.description).read(Window(0, 0, 600, 700))

    assert dataset.description.channels == 2
    np.testing.assert_array_equal(sample.image, draw_scene((600, 700), 0)[0][..., [2, 0]])


def test_small_images_beside_scenes_are_read_as_before(tmp_path):
    folder = write_folder(tmp_path / "data", count=8, side=40)
    before = read_dataset(folder, scene_bytes=0)

    assert not before.scenes
    assert before.turns == before.training


def test_only_files_that_are_read_by_windows_make_a_scene(folders, dataset, tmp_path):
    entry = dataset.training[0]
    png = tmp_path / "labels.png"
    Image.fromarray(np.zeros((600, 700), np.uint8)).save(png)

    assert is_scene(entry, dataset.description, 600 * 700 * 3 - 1)
    assert not is_scene(entry, dataset.description, 600 * 700 * 3)
    assert not is_scene(entry._replace(labels=png), dataset.description, 0)


def test_a_scene_has_a_turn_for_each_16_megapixels_of_labels():
    overview = Overview((20_000, 20_000))
    for top in range(0, 15_000, 64):
        overview.add(Window(top, 0, 64, 20_000), np.ones((64, 20_000), bool))
    image = TrainingImage(np.zeros((9, 9, 1), np.uint8), np.ones((9, 9), bool))
    small = measure(image, np.zeros((9, 9), np.uint8), "")

    assert small.turns == 1
    assert replace(small, overview=overview).turns == round(235 * 64 * 20_000 / 2**24) == 18


def test_a_background_is_a_class_if_it_is_named(tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".gpkg", 'background = "bright"')
    dataset = read_dataset(folder, scene_bytes=0)
    sample = open_scene(dataset.training[0], dataset.description).read(Window(0, 0, 600, 700))
    _, valid, labels = draw_scene((600, 700), 0)

    np.testing.assert_array_equal(sample.labels[valid], np.where(labels == 0, 0, 1)[valid])


def test_an_attribute_of_another_name_tells_the_class_by_id(tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".geojson", 'label_field = "kind"')
    ids = {"dark": 0, "bright": "1"}
    for index, size in enumerate([(600, 700), (333, 512), (520, 430)]):
        polygons, names = zip(*outline(draw_scene(size, index)[2]), strict=True)
        path = folder / "labels" / f"scene{index}.geojson"
        write_features(path, polygons, [ids[name] for name in names], CRS, "kind")
    dataset = read_dataset(folder, scene_bytes=0)
    sample = open_scene(dataset.training[0], dataset.description).read(Window(0, 0, 600, 700))
    _, valid, labels = draw_scene((600, 700), 0)

    np.testing.assert_array_equal(sample.labels, np.where(valid, labels, UNKNOWN))


def test_polygons_may_stand_beside_their_images(folders, tmp_path):
    folder = write_scene_folder(tmp_path / "data", ".gpkg")
    for path in sorted((folder / "labels").iterdir()):
        path.rename(folder / "images" / path.name)
    (folder / "labels").rmdir()
    expected = read_dataset(folders[".gpkg"], scene_bytes=0)

    assert same(draw_crops(read_dataset(folder, scene_bytes=0)), draw_crops(expected))


def test_small_images_take_their_no_data_value_of_labels_for_unknown(tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    for index, size in enumerate([(600, 700), (333, 512), (520, 430)]):
        labels = draw_scene(size, index)[2]
        other = np.where(labels == UNKNOWN, 7, labels)
        path = folder / "labels" / f"scene{index}.tif"
        write_raster(path, other[None], nodata=7, **PLACE, **TILES)
    whole, windows = read_dataset(folder), read_dataset(folder, scene_bytes=0)
    expected = read_dataset(write_scene_folder(tmp_path / "expected"))

    assert whole.class_pixels == windows.class_pixels == expected.class_pixels
    assert same(draw_crops(whole), draw_crops(expected))


def test_a_description_with_an_unknown_background_is_told(tmp_path):
    folder = write_scene_folder(tmp_path / "data")
    write_description(folder, 'background = "lava"')
    assert faults_of(folder) == (
        "dataset.toml: background must be \"ignore\" or the name of a class; it is 'lava'",
    )
