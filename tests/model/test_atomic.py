"""Files and folders that are replaced whole or not at all."""

import pytest

from model.atomic import VERSION_FILE, check_replaceable, replace_file, replacing_version


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"long ago")
    replace_file(path, b"now")

    assert path.read_bytes() == b"now"


def fill(folder, text):
    (folder / VERSION_FILE).parent.mkdir(parents=True)
    (folder / VERSION_FILE).write_text(text)


@pytest.fixture
def version(tmp_path):
    fill(tmp_path / "1", "old")
    return tmp_path / "1"


def test_a_version_is_replaced_at_the_end(version):
    with replacing_version(version) as folder:
        fill(folder, "new")
        assert (version / VERSION_FILE).read_text() == "old"

    assert (version / VERSION_FILE).read_text() == "new"
    assert [path.name for path in version.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError, SystemExit])
def test_a_version_that_could_not_be_written_leaves_the_old_one_and_nothing_else(version, failure):
    def write_half():
        with replacing_version(version) as folder:
            fill(folder, "new")
            raise failure

    with pytest.raises(failure):
        write_half()

    assert (version / VERSION_FILE).read_text() == "old"
    assert [path.name for path in version.parent.iterdir()] == ["1"]


def test_the_old_version_comes_back_if_the_new_one_is_not_there(version):
    with pytest.raises(FileNotFoundError), replacing_version(version):
        pass  # nothing is made

    assert (version / VERSION_FILE).read_text() == "old"
    assert [path.name for path in version.parent.iterdir()] == ["1"]


def test_a_link_is_replaced_and_not_what_it_leads_to(version, tmp_path):
    (tmp_path / "2").symlink_to(version)
    with replacing_version(tmp_path / "2") as folder:
        fill(folder, "new")

    assert not (tmp_path / "2").is_symlink()
    assert (tmp_path / "2" / VERSION_FILE).read_text() == "new"
    assert (version / VERSION_FILE).read_text() == "old"


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "2024").mkdir()
    check_replaceable(tmp_path / "2024")
    (tmp_path / "2024" / "portrait.jpg").touch()
    with pytest.raises(ValueError, match=r"must be empty, or a version .*2024 holds other files"):
        check_replaceable(tmp_path / "2024")
