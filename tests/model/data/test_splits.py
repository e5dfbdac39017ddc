"""The parts of a data set: groups stand on one side, and what is empty is told."""

import pytest

from model.data.folders import DatasetError, read_dataset, read_folds
from tests.support.folders import write_description, write_folder


@pytest.fixture
def folder(tmp_path):
    """Eight images: two of each of four flights."""
    folder = write_folder(tmp_path / "data", count=8, side=12)
    for name in ("images", "labels", "masks"):
        for path in list((folder / name).iterdir()):
            index = int(path.stem[-2:])
            path.rename(path.with_name(f"flight{index // 2}-{index % 2}.png"))
    for name in ("train.txt", "validation.txt"):
        (folder / name).unlink()
    return folder


GROUP = r"group = 'flight(\d+)-.*'"


def faults_of(folder):
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    return caught.value.faults


def names(part):
    return [entry.name for entry in part]


def test_named_groups_are_validated_and_tested_on_as_a_whole(folder):
    write_description(folder, GROUP, 'validation_groups = ["1"]', 'test_groups = ["3"]')
    dataset = read_dataset(folder)

    assert names(dataset.validation) == ["flight1-0", "flight1-1"]
    assert names(dataset.test) == ["flight3-0", "flight3-1"]
    assert len(dataset.training) == 4
    assert set(dataset.class_pixels) == {"training", "validation", "test"}


def test_a_group_stands_on_one_side_of_a_split_by_fractions(folder):
    write_description(folder, GROUP, "validation_fraction = 0.4", "test_fraction = 0.3")
    dataset = read_dataset(folder)
    sides = [{name[6] for name in names(part)} for part in (dataset.training, dataset.validation)]
    sides.append({name[6] for name in names(dataset.test)})

    assert sum(map(len, sides)) == 4
    assert set.union(*sides) == set("0123")


def test_a_group_on_two_sides_is_told_and_so_is_an_image_in_two_files(folder):
    write_description(folder, GROUP)
    (folder / "train.txt").write_text("flight0-0\nflight0-1\nflight1-0")
    (folder / "validation.txt").write_text("flight1-1\nflight2-0")
    (folder / "test.txt").write_text("flight2-1\nflight0-0.png")

    assert faults_of(folder) == (
        "test.txt: flight0-0 is in train.txt too",
        "validation.txt: group 1 is in train.txt too",
        "test.txt: group 0 is in train.txt too",
        "test.txt: group 2 is in validation.txt too",
    )


def test_groups_without_images_and_images_without_groups_are_told(folder):
    write_description(folder, GROUP, 'validation_groups = ["1", "9"]')
    for kind in ("images", "labels"):
        (folder / kind / "flight3-0.png").rename(folder / kind / "other.png")

    assert faults_of(folder) == (
        (
            "dataset.toml: group must match the name of each image; other do not match "
            r"flight(\d+)-.*"
        ),
        (
            "dataset.toml: validation_groups must name groups of images; 9 has none: there "
            "are 0, 1, "
            "2, 3"
        ),
    )


def test_a_group_for_validation_and_for_testing_is_told(folder):
    write_description(folder, GROUP, 'validation_groups = ["1"]', 'test_groups = ["1"]')

    assert "test_groups: 1 is in validation_groups too" in faults_of(folder)[0]


def test_a_part_that_is_left_with_one_image_is_noted(folder):
    write_description(folder, "group = '(.*)'", 'validation_groups = ["flight2-0"]')

    notes = read_dataset(folder).notes
    assert "validation has 1 image, flight2-0: its scores say little of others" in notes


def test_each_group_is_tested_on_once_and_never_chosen_by(folder):
    write_description(folder, GROUP)
    folds = read_folds(folder, "groups")

    assert [one.fold for one in folds] == ["groups/0", "groups/1", "groups/2", "groups/3"]
    for number, one in enumerate(folds):
        parts = [{name[6] for name in names(part)} for part in (one.test, one.validation)]
        assert parts == [{str(number)}, {str((number + 1) % 4)}]
        assert len(one.training) == 4
    assert read_dataset(folder, fold="groups/2").digest == folds[2].digest


def test_folds_part_the_images_evenly(folder):
    write_description(folder)
    folds = read_folds(folder, "4")
    tested = [name for one in folds for name in names(one.test)]

    assert sorted(tested) == sorted(f"flight{n // 2}-{n % 2}" for n in range(8))
    assert [len(one.test) for one in folds] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("folds", "message"),
    [("groups", "group is missing"), ("2", "are 2, of 8"), ("9", "are 9, of 8")],
)
def test_folds_that_cannot_be_made_are_told(folder, folds, message):
    write_description(folder)
    with pytest.raises(DatasetError, match=message):
        read_folds(folder, folds)
