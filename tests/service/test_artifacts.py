"""Models that Vertex AI keeps in Google Cloud Storage."""

import pytest

from lacuna.errors import ConfigurationError
from service.artifacts import Artifacts, download_artifacts
from tests.support.cloud_storage import serve_objects

OBJECTS = {
    "teams/a/models/": b"",
    "teams/a/models/scenes/1/saved_model.pb": b"graph",
    "teams/a/models/scenes/1/variables/variables.data-00000-of-00001": bytes(range(256)) * 300,
    "teams/a/models/scenes/2/assets.extra/ma nifest+ä?.json": b"{}",
    "teams/a/models-of-others/1/saved_model.pb": b"not this one",
    "other": b"nor this one",
}


@pytest.fixture
def storage():
    with serve_objects("bucket-1", OBJECTS) as storage:
        yield storage


def download(storage, target, uri="gs://bucket-1/teams/a/models", waits=None):
    artifacts = Artifacts(uri, storage.url, storage.url)
    download_artifacts(artifacts, target, [].append if waits is None else waits.append)
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }


def strip(objects, prefix="teams/a/models/"):
    return {
        name.removeprefix(prefix): content
        for name, content in objects.items()
        if name.startswith(prefix) and not name.endswith("/")
    }


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_comes_with_all_that_is_in_it_and_nothing_else(storage, tmp_path, slash):
    found = download(storage, tmp_path / "models", f"gs://bucket-1/teams/a/models{slash}")

    assert found == strip(OBJECTS)


def test_a_whole_bucket_is_a_folder(storage, tmp_path):
    assert download(storage, tmp_path / "models", "gs://bucket-1") == strip(OBJECTS, "")


def test_public_objects_need_no_token(storage, tmp_path):
    storage.token = None

    assert download(storage, tmp_path / "models") == strip(OBJECTS)


def test_what_was_there_before_is_replaced(storage, tmp_path):
    old = tmp_path / "models" / "old" / "1"
    old.mkdir(parents=True)
    (tmp_path / "models.partial").mkdir()
    (tmp_path / "models.partial" / "half").write_bytes(b"of an interrupted download")

    assert download(storage, tmp_path / "models") == strip(OBJECTS)
    assert not old.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_what_fails_for_now_is_tried_again(storage, tmp_path):
    storage.faults, waits = [503, 429, 500, 408], []

    assert download(storage, tmp_path / "models", waits=waits) == strip(OBJECTS)
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("faults", "words"), [([403], "answers 403"), ([503] * 5, "answers 503"), ([404], "404")]
)
def test_what_fails_for_good_stops_the_start_and_says_why(storage, tmp_path, faults, words):
    storage.faults = faults

    with pytest.raises(ConfigurationError, match=f"AIP_STORAGE_URI .*gs://bucket-1.*{words}"):
        download(storage, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_storage_that_is_not_there_stops_the_start(storage, tmp_path):
    nowhere = Artifacts("gs://bucket-1/x", "http://127.0.0.1:9", "http://127.0.0.1:9")

    with pytest.raises(ConfigurationError, match="gs://bucket-1/x"):
        download_artifacts(nowhere, tmp_path / "models", [].append)


def test_an_empty_folder_stops_the_start(storage, tmp_path):
    with pytest.raises(ConfigurationError, match="it is empty"):
        download(storage, tmp_path / "models", "gs://bucket-1/teams/b")


def test_a_damaged_file_stops_the_start(storage, tmp_path):
    storage.damaged = {"teams/a/models/scenes/1/saved_model.pb"}

    with pytest.raises(ConfigurationError, match=r"saved_model\.pb differs from its checksum"):
        download(storage, tmp_path / "models")


@pytest.mark.parametrize("name", ["../../outside", "a/../../outside", "/outside"])
def test_no_object_leads_out_of_the_folder(tmp_path, name):
    with (
        serve_objects("bucket-1", {f"models/{name}": b"x"}) as storage,
        pytest.raises(ConfigurationError, match="leads out of it"),
    ):
        download(storage, tmp_path / "deep" / "models", "gs://bucket-1/models")
    assert not (tmp_path / "outside").exists()


def test_a_place_that_cannot_be_written_to_stops_the_start(storage, tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="Not a directory"):
        download(storage, tmp_path / "file" / "models")
