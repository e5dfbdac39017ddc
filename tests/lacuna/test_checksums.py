import pytest

from lacuna.checksums import compute_checksums

# From FIPS 180-2, appendix B.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def write(folder, **contents):
    for place, content in contents.items():
        path = folder / place.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_each_file_has_its_sha_256_by_its_path(tmp_path):
    write(tmp_path, variables__index=b"abc", saved_model=b"", assets__a__b=b"abc")

    checksums = compute_checksums(tmp_path)

    assert checksums == {"assets/a/b": ABC, "saved_model": EMPTY, "variables/index": ABC}
    assert list(checksums) == sorted(checksums)


@pytest.mark.parametrize(
    "place", ["assets.extra/manifest.json", "assets.extra/requests", ".DS_Store", ".git/config"]
)
def test_what_no_runtime_reads_has_no_checksum(tmp_path, place):
    write(tmp_path, saved_model=b"abc")
    write(tmp_path, **{place.replace("/", "__"): b""})

    assert compute_checksums(tmp_path) == {"saved_model": ABC}


def test_assets_extra_counts_elsewhere(tmp_path):
    write(tmp_path, **{"variables__assets.extra__a": b"abc"})

    assert compute_checksums(tmp_path) == {"variables/assets.extra/a": ABC}


def test_links_are_followed_and_a_ring_of_links_ends(tmp_path):
    write(tmp_path, store__index=b"abc")
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "variables").symlink_to(tmp_path / "store")
    (folder / "again").symlink_to(folder)
    (folder / "graph").symlink_to(tmp_path / "store" / "index")

    assert compute_checksums(folder) == {"graph": ABC, "variables/index": ABC}


def test_a_link_to_nothing_cannot_be_read(tmp_path):
    (tmp_path / "saved_model.pb").symlink_to(tmp_path / "nothing")

    with pytest.raises(FileNotFoundError, match=r"saved_model\.pb"):
        compute_checksums(tmp_path)
