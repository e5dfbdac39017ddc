import json

import pytest

from lacuna.appearance.statistics import ChannelStatistics
from lacuna.errors import InvalidManifestError, MissingManifestError
from service.runtime.manifest import MANIFEST_FILE, read_manifest

GOOD = {
    "schema": 1,
    "name": "some-model_1.0",
    "image": {"channels": 4, "dtype": "uint16"},
    "classes": [
        {"id": 0, "name": "land", "color": "#00ff7F"},
        {"id": 1, "name": "sea", "color": "#000000"},
    ],
    "total_stride": 16,
    "receptive_radius": 93,
}


def write(folder, text):
    path = folder / MANIFEST_FILE
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
    return folder


def read_faults(folder, changes):
    with pytest.raises(InvalidManifestError) as caught:
        read_manifest(write(folder, {**GOOD, **changes}))
    return caught.value.message


def test_a_good_manifest_is_read_as_it_stands(tmp_path):
    manifest = read_manifest(write(tmp_path, GOOD))
    assert manifest.name == "some-model_1.0"
    assert (manifest.image.channels, manifest.image.dtype) == (4, "uint16")
    assert [(entry.id, entry.name) for entry in manifest.classes] == [(0, "land"), (1, "sea")]
    assert manifest.classes[0].rgb == (0, 255, 127)
    assert (manifest.total_stride, manifest.receptive_radius) == (16, 93)


def test_what_training_and_scores_hold_is_free(tmp_path):
    free = {"description": "Land and sea.", "training": {"a": [1]}, "scores": {"b": {"c": 0.5}}}
    manifest = read_manifest(write(tmp_path, {**GOOD, **free}))
    assert manifest.model_dump(include=set(free)) == free


def test_a_manifest_cannot_be_changed_once_read(tmp_path):
    manifest = read_manifest(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        manifest.total_stride = 1


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(MissingManifestError, match=f"{tmp_path.name} does not"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"not json", b"\xff\xfe\x00", b'{"schema": NaN}'])
def test_what_is_no_json_is_refused(tmp_path, text):
    with pytest.raises(InvalidManifestError, match=r"manifest\.json must be JSON; "):
        read_manifest(write(tmp_path, text))


@pytest.mark.parametrize("text", [b"[]", b"null"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    with pytest.raises(InvalidManifestError, match="must follow schema 1; file: "):
        read_manifest(write(tmp_path, text))


STATISTICS = {
    "mean": 100.0,
    "deviation": 40,
    "minimum": 0,
    "maximum": 255,
    "low": 20,
    "high": 200,
    "tile_mean": [60, 150],
    "tile_deviation": [5, 50.5],
}


def describe_image(**changes):
    return {"image": {"channels": 1, "dtype": "uint8", "statistics": [STATISTICS | changes]}}


def test_statistics_of_the_training_images_are_optional(tmp_path):
    (tmp_path / "other").mkdir()
    with_them = read_manifest(write(tmp_path, GOOD | describe_image())).image
    without = read_manifest(write(tmp_path / "other", GOOD)).image

    read = ChannelStatistics(100, 40, 0, 255, 20, 200, (60, 150), (5, 50.5))
    assert with_them.channel_statistics == (read,)
    assert (without.channel_statistics, without.familiar_range) == (None, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": 210}, "minimum, low, high and maximum must be in ascending order"),
        ({"mean": 300}, "minimum, mean and maximum must be in ascending order"),
        ({"tile_mean": [150, 60]}, "tile_mean must be in ascending order"),
        ({"tile_deviation": [-1, 60]}, "tile_deviation must be in ascending order"),
        ({"deviation": -1}, "image.statistics.0.deviation: "),
        ({"median": 90}, "image.statistics.0.median: "),
        ({"tile_mean": [1, 2, 3]}, "image.statistics.0.tile_mean"),
    ],
)
def test_statistics_that_cannot_be_are_refused(tmp_path, changes, words):
    assert words in read_faults(tmp_path, describe_image(**changes))


def test_each_channel_has_statistics_or_none_has(tmp_path):
    image = describe_image()["image"] | {"channels": 3}

    assert "an entry for each of the 3 channels; they have 1" in read_faults(
        tmp_path, {"image": image}
    )


@pytest.mark.parametrize("key", GOOD)
def test_nothing_that_is_needed_may_be_missing(tmp_path, key):
    without = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(InvalidManifestError, match=f"; {key}: Field required"):
        read_manifest(write(tmp_path, without))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"schema": 2}, "schema"),
        ({"colour": "#ffffff"}, "colour"),
        ({"schema_version": 1}, "schema_version"),
        ({"name": ""}, "name"),
        ({"name": "../up"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"description": "x" * 2001}, "description"),
        ({"image": {"channels": 0, "dtype": "uint8"}}, "image.channels"),
        ({"image": {"channels": 513, "dtype": "uint8"}}, "image.channels"),
        ({"image": {"channels": 3, "dtype": "int8"}}, "image.dtype"),
        ({"image": {"channels": 3, "dtype": "uint8", "bits": 8}}, "image.bits"),
        ({"classes": []}, "classes"),
        ({"classes": [{"id": 0, "name": "", "color": "#000000"}]}, "classes.0.name"),
        ({"classes": [{"id": 255, "name": "a", "color": "#000000"}]}, "classes.0.id"),
        ({"classes": [{"id": 0, "name": "a", "color": "red"}]}, "classes.0.color"),
        ({"classes": [{"id": 0, "name": "a", "color": "#fff"}]}, "classes.0.color"),
        ({"classes": [{"id": 0, "name": "a", "color": "#00000g"}]}, "classes.0.color"),
        ({"total_stride": 0}, "total_stride"),
        ({"total_stride": 2000}, "total_stride"),
        ({"total_stride": 1.5}, "total_stride"),
        ({"receptive_radius": -1}, "receptive_radius"),
        ({"receptive_radius": 10_000}, "receptive_radius"),
        ({"training": []}, "training"),
    ],
)
def test_a_value_out_of_its_range_is_named_by_its_place(tmp_path, changes, place):
    assert f" {place}: " in read_faults(tmp_path, changes)


@pytest.mark.parametrize("ids", [(1, 2), (1, 0), (0, 2), (0, 0)])
def test_class_ids_must_count_up_from_zero(tmp_path, ids):
    classes = [{"id": each, "name": "a", "color": "#000000"} for each in ids]
    assert f"in order; they are {list(ids)}" in read_faults(tmp_path, {"classes": classes})


def test_every_fault_is_named_in_one_message(tmp_path):
    message = read_faults(
        tmp_path,
        {
            "surplus": 1,
            "image": {"channels": 0, "dtype": "int8"},
            "total_stride": 0,
            "receptive_radius": -1,
        },
    )
    places = ("surplus", "image.channels", "image.dtype", "total_stride", "receptive_radius")
    assert all(f" {place}: " in message for place in places)


def test_class_ids_out_of_order_are_told_beside_other_faults(tmp_path):
    classes = [{"id": 1, "name": "a", "color": "#000000"}]
    message = read_faults(tmp_path, {"classes": classes, "total_stride": 0})
    assert "total_stride" in message
    assert "in order; they are [1]" in message


def test_a_fault_in_one_class_is_not_told_as_a_lack_of_classes(tmp_path):
    message = read_faults(tmp_path, {"classes": [{"id": 0, "name": "a", "color": "red"}]})
    assert "at least 1 item" not in message


@pytest.mark.parametrize(
    ("tiles", "words"),
    [
        ({"height": 64, "width": 32, "overlap": 32}, "less than the sides, 64 × 32; it is 32"),
        ({"height": 64, "width": 0, "overlap": 0}, "tiles.width"),
        ({"height": 64, "width": 64}, "tiles.overlap: Field required"),
    ],
)
def test_tiles_must_overlap_by_less_than_their_sides(tmp_path, tiles, words):
    assert words in read_faults(tmp_path, {"tiles": tiles})


def test_a_model_of_one_size_says_its_tiles(tmp_path):
    tiles = {"height": 64, "width": 32, "overlap": 31}
    assert read_manifest(write(tmp_path, {**GOOD, "tiles": tiles})).tiles.model_dump() == tiles
