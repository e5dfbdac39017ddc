"""Bands and alpha of the images of a folder, as `dataset.toml` says."""

import json

import numpy as np
import pytest
from PIL import Image

from model.data.folders import DatasetError, load_sample, read_dataset
from tests.support.folders import draw_regions, write_description, write_folder
from tests.support.rasters import gdal_file

NAMES = ("blue", "green", "red", "nir")


@pytest.fixture
def folder(tmp_path):
    folder = write_folder(tmp_path / "data", count=4, side=24)
    for index, path in enumerate(sorted((folder / "images").iterdir())):
        path.unlink()
        image, labels = draw_regions((24, 24), index)
        path.with_suffix(".tif").write_bytes(scene(image))
        Image.fromarray(labels).save(folder / "labels" / path.name)
    for mask in (folder / "masks").iterdir():
        mask.unlink()
    return folder


def scene(image, names=NAMES, **options):
    stack = np.dstack([image[:, :, ::-1], image[:, :, 0] // 2 + 9])
    return gdal_file(stack, names=names, **options)


def choose(folder, **values):
    write_description(folder, *(f"{name} = {json.dumps(value)}" for name, value in values.items()))
    return read_dataset(folder)


def load_first(dataset):
    return load_sample(dataset.training[0], dataset.description)


def test_bands_are_chosen_by_name_and_become_the_models(folder):
    dataset = choose(folder, bands=["red", "green", "blue"])

    np.testing.assert_array_equal(load_first(dataset).image, draw_regions((24, 24), 0)[0])
    assert dataset.description.band_names == ("red", "green", "blue")


def test_bands_are_chosen_by_number_and_keep_the_names_of_the_files(folder):
    dataset = choose(folder, bands="3,2,1")

    np.testing.assert_array_equal(load_first(dataset).image, draw_regions((24, 24), 0)[0])
    assert dataset.description.band_names == ("red", "green", "blue")


def test_a_band_that_is_tagged_as_alpha_can_be_a_channel(folder):
    doubted = choose(folder)
    dataset = choose(folder, alpha="no")

    assert doubted.description.channels == 3
    assert any("band 4 is tagged as alpha" in note for note in doubted.notes)
    assert dataset.description.channels == 4
    assert dataset.notes == ()
    assert dataset.description.band_names == NAMES


def test_bands_of_other_names_in_some_images_are_noted(folder):
    path = folder / "images" / "scene00.tif"
    path.write_bytes(scene(draw_regions((24, 24), 0)[0], ("red", "green", "blue", "nir")))

    dataset = choose(folder, alpha="no")

    (note,) = dataset.notes
    assert "are named" in note
    assert "red, green, blue, nir in scene00" in note
    assert dataset.description.band_names == ()


def test_names_that_are_not_different_are_not_the_models(folder):
    assert choose(folder, bands=["red", "red", "red"]).description.band_names == ()


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"bands": [0]}, "bands must be a list of numbers from 1 or names; it is [0]"),
        ({"bands": []}, "bands must be a list of numbers from 1 or names; it is []"),
        ({"bands": 1.5}, "bands must be a list of numbers from 1 or names; it is 1.5"),
        ({"alpha": "maybe"}, 'alpha must be "auto" or "yes" or "no"; it is \'maybe\''),
        ({"alpha": True}, 'alpha must be "auto" or "yes" or "no"; it is True'),
    ],
)
def test_a_wrong_choice_is_a_fault_of_the_description(folder, values, fault):
    with pytest.raises(DatasetError) as caught:
        choose(folder, **values)
    assert f"dataset.toml: {fault}" in caught.value.faults


def test_bands_that_an_image_lacks_are_a_fault_of_the_image(folder):
    with pytest.raises(DatasetError) as caught:
        choose(folder, bands=["red", "swir"])
    assert any(
        fault.startswith("images/scene00.tif: bands must be of the 4 that the image has: 1 (blue)")
        for fault in caught.value.faults
    )
