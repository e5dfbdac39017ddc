"""A model on its way to the nodes: which one is sent, and that it arrives as it was."""

import pytest

from lacuna.errors import InvalidGraphError, UnknownModelError, UnknownVersionError
from service.cluster.model_files import read_model_files
from service.cluster.pool import ClusterError
from service.platforms import DEMO_REPOSITORY
from tests.support.repositories import write_version


@pytest.fixture
def root(tmp_path):
    for place in ("a/1", "a/2", "a/10"):
        write_version(tmp_path, place, place)
    return tmp_path


def test_the_files_arrive_as_they_were(tmp_path):
    files = read_model_files(DEMO_REPOSITORY, None, None)

    files.write(tmp_path)

    folder = DEMO_REPOSITORY / files.name / files.version
    sent = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    arrived = tmp_path / files.name / files.version
    assert sent
    assert {path.relative_to(arrived) for path in arrived.rglob("*") if path.is_file()} == set(sent)
    for place, path in sent.items():
        assert (arrived / place).read_bytes() == path.read_bytes()


def test_of_the_demo_the_default_is_sent():
    assert read_model_files(DEMO_REPOSITORY, None, None).name == "aerial"
    assert read_model_files(DEMO_REPOSITORY, "groundcover", None).name == "groundcover"


@pytest.mark.parametrize(("version", "chosen"), [(None, "10"), ("2", "2")])
def test_the_highest_version_is_sent_or_the_one_that_is_named(root, version, chosen):
    files = read_model_files(root, None, version)

    assert files.version == chosen
    assert files.contents == {"saved_model.pb": f"a/{chosen}".encode()}


@pytest.mark.parametrize(
    ("model", "version", "error", "message"),
    [
        ("b", None, UnknownModelError, "b is not, but a"),
        ("../a", None, UnknownModelError, "../a is not"),
        ("a", "3", UnknownVersionError, "a has 1, 2, 10, not 3"),
    ],
)
def test_a_model_that_is_not_there_is_unknown(root, model, version, error, message):
    with pytest.raises(error, match=message):
        read_model_files(root, model, version)


def test_one_of_several_models_must_be_named(root):
    write_version(root, "b/1")

    with pytest.raises(UnknownModelError, match="there are a, b"):
        read_model_files(root, None, None)


def test_a_folder_that_is_no_repository_is_refused(tmp_path):
    with pytest.raises(InvalidGraphError, match="is empty"):
        read_model_files(tmp_path, None, None)


def test_a_link_out_of_the_repository_is_not_followed(root, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secrets") / "secret"
    secret.write_text("secret")
    (root / "a" / "10" / "link").symlink_to(secret)

    with pytest.raises(InvalidGraphError, match="leads out of it"):
        read_model_files(root, None, None)


def test_a_model_that_is_too_large_is_not_sent(root):
    with pytest.raises(ClusterError, match="at most 3 bytes; a has 4"):
        read_model_files(root, None, None, most_bytes=3)
