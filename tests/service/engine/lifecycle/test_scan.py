import os

import pytest

from lacuna.errors import InvalidGraphError
from service.engine.lifecycle.scan import (
    find_models,
    find_version_folders,
    find_versions,
    locate_version,
    scan_model,
    take_snapshot,
)
from tests.support.repositories import write_version


def test_versions_are_ordered_as_numbers(tmp_path):
    for place in ("m/2", "m/10", "m/1", "m/latest", "m/.3.unfinished", "m/01"):
        write_version(tmp_path, place)
    (tmp_path / "m" / "7").write_text("a file")

    assert find_versions(tmp_path / "m") == ["1", "2", "10"]


def test_a_folder_without_versions_is_no_model(tmp_path):
    for place in ("m/1", "notes/old", ".git/1", "lost+found/1"):
        write_version(tmp_path, place)

    assert find_models(tmp_path) == ["m"]


def test_a_repository_that_is_not_there_has_no_models(tmp_path):
    assert find_models(tmp_path / "nowhere") == []
    assert scan_model(tmp_path / "nowhere", "m").snapshots == {}


@pytest.mark.parametrize(
    ("places", "given", "expected"),
    [
        (["m/2", "m/10"], "", {"2": "m/2", "10": "m/10"}),
        (["m/2", "m/10"], "m", {"2": "m/2", "10": "m/10"}),
        (["m/7"], "m/7", {"1": "m/7"}),
        # A folder of the model's name decides, whatever else there is.
        ([".", "3", "m/2"], "", {"2": "m/2"}),
        # A SavedModel has folders of its own, which are no versions.
        ([".", "3"], "", {"1": "."}),
        (["other/1"], "", {}),
    ],
)
def test_the_only_model_may_lie_in_the_repositorys_folder_itself(tmp_path, places, given, expected):
    for place in places:
        write_version(tmp_path, place)
    root = tmp_path / given

    assert find_version_folders(root, "m", is_only=True) == {
        version: tmp_path / place for version, place in expected.items()
    }
    for version, place in expected.items():
        assert locate_version(root, "m", version, is_only=True) == tmp_path / place
    assert scan_model(root, "m", is_only=True).snapshots == {
        version: take_snapshot(tmp_path / place) for version, place in expected.items()
    }


def test_one_model_of_several_never_lies_in_the_repositorys_folder(tmp_path):
    write_version(tmp_path, "m/1")

    assert scan_model(tmp_path / "m", "m").snapshots == {}
    assert scan_model(tmp_path / "m" / "1", "m").snapshots == {}


def test_a_file_of_the_only_model_that_is_a_link_out_of_its_folder_is_refused(tmp_path):
    write_version(tmp_path, "m")
    (tmp_path / "secret").touch()
    (tmp_path / "m" / "asset").symlink_to(tmp_path / "secret")

    with pytest.raises(InvalidGraphError, match=r"asset is a link that leads out of it"):
        locate_version(tmp_path / "m", "x", "1", is_only=True)


@pytest.mark.parametrize("name", ["../m", "..", "", "/", "m/1", "a\0b"])
def test_a_name_that_could_be_a_path_is_never_looked_at(tmp_path, name):
    write_version(tmp_path, "m/1")
    root = tmp_path / "root"
    root.mkdir()

    scan = scan_model(root, name)

    assert scan.snapshots == {}
    assert "name must be" in scan.error


def change_size(folder):
    (folder / "saved_model.pb").write_text("longer")
    os.utime(folder / "saved_model.pb", (0, 1))


def change_time(folder):
    os.utime(folder / "saved_model.pb", (0, 2))


def add_file(folder):
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.index").touch()


def rename_file(folder):
    (folder / "saved_model.pb").rename(folder / "saved_model.pbtxt")


@pytest.mark.parametrize("change", [change_size, change_time, add_file, rename_file])
def test_a_snapshot_differs_with_names_sizes_and_times(tmp_path, change):
    folder = write_version(tmp_path, "m/1")
    os.utime(folder / "saved_model.pb", (0, 1))
    before = take_snapshot(folder)

    change(folder)

    assert take_snapshot(folder) != before
    assert take_snapshot(folder) == take_snapshot(folder)


def test_a_version_is_complete_once_its_graph_is_there(tmp_path):
    folder = write_version(tmp_path, "m/1")
    whole = take_snapshot(folder)
    (folder / "saved_model.pb").rename(folder / ".saved_model.pb.part")

    assert whole.complete
    assert not take_snapshot(folder).complete


def test_links_are_followed_within_the_repository(tmp_path):
    write_version(tmp_path, "store/1")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "2").symlink_to(tmp_path / "store" / "1")
    root = tmp_path / "link"
    root.symlink_to(tmp_path)

    assert find_versions(root / "m") == ["2"]
    assert locate_version(root, "m", "2") == root / "m" / "2"


@pytest.mark.parametrize("place", ["m/1/saved_model.pb", "m/1/variables", "m/1", "m"])
def test_a_link_that_leads_out_of_the_repository_is_refused(tmp_path, place):
    write_version(tmp_path, "outside/1")
    root = tmp_path / "root"
    link = root / place
    link.parent.mkdir(parents=True)
    target = tmp_path / "outside" if place == "m" else tmp_path / "outside" / "1"
    link.symlink_to(target / "saved_model.pb" if place.endswith("pb") else target)

    with pytest.raises(InvalidGraphError, match="must lie in the repository"):
        locate_version(root, "m", "1")


def test_a_ring_of_links_ends(tmp_path):
    folder = write_version(tmp_path, "m/1")
    (folder / "again").symlink_to(folder)

    assert take_snapshot(folder).complete
    assert locate_version(tmp_path, "m", "1") == folder
