"""One large scene, split into blocks."""

import numpy as np
import pytest
from PIL import Image

from model.data.batches import SampleReader
from model.data.folders import DatasetError, load_sample, read_dataset, read_folds
from model.data.views import list_views
from tests.support.folders import draw_regions, write_description
from tests.support.rasters import write_raster

SIZE = (400, 330)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    image, labels = draw_regions(SIZE, 0)
    for name, values in (("images", image), ("labels", labels[..., None])):
        (folder / name).mkdir()
        write_raster(
            folder / name / "scene.tif",
            np.moveaxis(values, 2, 0),
            tiled=True,
            blockxsize=64,
            blockysize=64,
        )
    write_description(
        folder, "blocks = 64", "validation_fraction = 0.3", "test_fraction = 0.2", 'alpha = "no"'
    )
    return folder


def read_parts(folder, scene_bytes):
    dataset = read_dataset(folder, scene_bytes)
    parts = dataset.training, dataset.validation, dataset.test
    assert [len(part) for part in parts] == [1, 1, 1]
    return dataset, [part[0] for part in parts]


def test_every_labelled_pixel_is_in_one_part_and_parts_are_whole_blocks(folder):
    dataset, parts = read_parts(folder, 2**26)
    labels = np.stack([load_sample(entry, dataset.description).labels for entry in parts])
    known = labels != 255

    assert (known.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(labels.min(axis=0), draw_regions(SIZE, 0)[1])
    for part in known:
        block = part[64:128, 128:192]
        assert block.all() or not block.any()
    assert [sum(dataset.class_pixels[name]) for name in ("training", "validation", "test")] == (
        known.sum(axis=(1, 2)).tolist()
    )


def test_windows_of_a_scene_are_parted_as_the_whole_image(folder):
    whole, parts = read_parts(folder, 2**26)
    scenes, entries = read_parts(folder, 0)
    reader = SampleReader(scenes.description, scenes=scenes.scenes)

    assert scenes.class_pixels == whole.class_pixels
    for entry, alike in zip(entries, parts, strict=True):
        (view,) = list_views([entry], scenes.scenes)
        np.testing.assert_array_equal(
            reader.read_view(view, 0).labels, load_sample(alike, whole.description).labels
        )
        piece = reader.cut(np.random.default_rng(0), entry, 32)
        assert (piece.labels != 255).any()


def test_blocks_exclude_lists_groups_and_folds(folder, tmp_path):
    with pytest.raises(DatasetError, match="blocks must not be set for folds"):
        read_folds(folder, "3")
    (tmp_path / "images").symlink_to(folder / "images")
    (tmp_path / "labels").symlink_to(folder / "labels")
    (tmp_path / "train.txt").write_text("scene")
    for lines, message in (
        (["blocks = 64"], "train.txt: must not be there if dataset.toml sets blocks"),
        (["blocks = 64", 'group = "(.*)"'], "blocks and group exclude each other"),
        (["blocks = 8"], "blocks must be the side of a block in pixels, at least 64"),
    ):
        write_description(tmp_path, *lines)
        with pytest.raises(DatasetError, match=message):
            read_dataset(tmp_path)


def test_an_image_without_labels_in_one_part_is_left_out_of_it(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for index in range(12):  # each of one block
        image, labels = draw_regions((40, 40), index)
        Image.fromarray(image).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(labels).save(tmp_path / "labels" / f"{index}.png")
    write_description(tmp_path, "blocks = 64", "validation_fraction = 0.4")
    dataset = read_dataset(tmp_path)

    assert len(dataset.training) + len(dataset.validation) == 12
