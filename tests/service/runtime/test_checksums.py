import logging

import numpy as np
import pytest

from lacuna.errors import ChecksumMismatchError, InvalidManifestError, MissingManifestError
from service.runtime.checksums import verify_checksums, write_checksums
from service.runtime.manifest import MANIFEST_FILE, read_manifest
from tests.support.demo_model import DEMO, copy_demo, edit_manifest

VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.fixture
def copied(tmp_path):
    return copy_demo(tmp_path)


def flip_bytes(path, count=64):
    """Flip so many bytes, spread over a file."""
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    content[np.random.default_rng(0).permutation(content.size)[:count]] ^= 0xFF
    path.write_bytes(content.tobytes())


def verify(folder):
    verify_checksums(folder, read_manifest(folder))


def read_faults(folder):
    with pytest.raises(ChecksumMismatchError) as caught:
        verify(folder)
    rule, faults = caught.value.message.split("; ", 1)
    assert rule == "the files of a model must have the checksums in manifest.json"
    return faults


def test_the_files_of_the_demo_model_have_their_checksums():
    assert "saved_model.pb" in read_manifest(DEMO).checksums

    verify(DEMO)


@pytest.mark.parametrize("name", ["saved_model.pb", "fingerprint.pb", "variables/variables.index"])
@pytest.mark.parametrize("count", [1, 64])
def test_flipped_bytes_are_noticed_in_any_file(copied, name, count):
    flip_bytes(copied / name, count)

    assert read_faults(copied) == f"changed: {name}"


def test_missing_added_and_changed_files_are_named(copied):
    (copied / VARIABLES).unlink()
    (copied / "saved_model.pb").write_bytes(b"")
    (copied / "assets").mkdir()
    (copied / "assets" / "words.txt").touch()

    assert read_faults(copied) == (
        f"changed: saved_model.pb; missing: {VARIABLES}; added: assets/words.txt"
    )


def test_of_many_files_some_are_named(copied):
    for number in range(9):
        (copied / f"{number}.txt").touch()

    assert read_faults(copied) == "added: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 4 more"


def test_users_may_add_files_that_no_runtime_reads(copied):
    (copied / "assets.extra" / "tf_serving_warmup_requests").touch()
    (copied / ".DS_Store").touch()

    verify(copied)


def test_a_file_that_cannot_be_read_is_named(copied):
    (copied / "saved_model.pb").unlink()
    (copied / "saved_model.pb").symlink_to(copied / "saved_model.pb")

    with pytest.raises(ChecksumMismatchError, match=r"must be readable; saved_model\.pb: "):
        verify(copied)


def test_a_manifest_without_checksums_is_accepted_with_a_line_in_the_log(copied, caplog):
    edit_manifest(copied, checksums={})
    flip_bytes(copied / "saved_model.pb")

    with caplog.at_level(logging.INFO):
        verify(copied)

    assert [record.message for record in caplog.records] == [
        "manifest has no checksums; damage goes unnoticed"
    ]
    assert caplog.records[0].folder == "groundcover/1"


@pytest.mark.parametrize("checksum", ["", "abc", "A" * 64, "0" * 65, 0, None])
def test_what_is_no_checksum_is_refused(copied, checksum):
    edit_manifest(copied, checksums={"saved_model.pb": checksum})

    with pytest.raises(InvalidManifestError, match=r"checksums\.saved_model\.pb: "):
        read_manifest(copied)


def test_checksums_are_written_anew_and_nothing_else_changes(copied):
    before = read_manifest(copied)
    beside = sorted(path.name for path in (copied / "assets.extra").iterdir())
    (copied / VARIABLES).write_bytes(b"other weights")

    write_checksums(copied)

    verify(copied)
    after = read_manifest(copied)
    assert after.model_dump(exclude={"checksums"}) == before.model_dump(exclude={"checksums"})
    assert {
        name for name in after.checksums if after.checksums[name] != before.checksums[name]
    } == {VARIABLES}
    assert sorted(path.name for path in (copied / "assets.extra").iterdir()) == beside


def test_checksums_are_written_only_into_a_good_manifest(copied):
    edit_manifest(copied, total_stride=0)
    before = (copied / MANIFEST_FILE).read_bytes()
    with pytest.raises(InvalidManifestError, match="total_stride"):
        write_checksums(copied)
    assert (copied / MANIFEST_FILE).read_bytes() == before

    (copied / MANIFEST_FILE).unlink()
    with pytest.raises(MissingManifestError):
        write_checksums(copied)
