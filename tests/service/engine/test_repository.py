import asyncio

import pytest

from service.engine.repository import ModelState, Repository, find_models, find_versions
from service.errors import (
    InvalidGraphError,
    MalformedRequestError,
    NotReadyError,
    UnknownModelError,
    UnknownVersionError,
)
from service.runtime.fake import FakeRuntime
from tests.support.apps import load_fake, load_repository, make_repository_folder


def test_versions_are_ordered_as_numbers(tmp_path):
    make_repository_folder(tmp_path, "m/2", "m/10", "m/1", "m/latest", "m/.3.unfinished")

    assert find_versions(tmp_path / "m") == ["1", "2", "10"]


def test_a_folder_without_versions_is_no_model(tmp_path):
    make_repository_folder(tmp_path, "m/1", "notes/old")

    assert find_models(tmp_path) == ["m"]


def test_a_repository_that_is_not_there_has_no_models(tmp_path):
    assert find_models(tmp_path / "nowhere") == []


def test_the_highest_version_is_served(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "m/2", "m/10"))

    assert repository.find("m").version == "10"


def test_the_only_model_need_not_be_named(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "m/1"))

    assert repository.find(None).name == "m"


def test_one_of_several_models_must_be_named(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "a/1", "b/1"))

    with pytest.raises(MalformedRequestError, match="several: a, b"):
        repository.find(None)


def test_only_the_models_asked_for_are_loaded(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "a/1", "b/1"), names=("b",))

    assert [model.name for model in repository.models] == ["b"]


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "a/1"))

    with pytest.raises(UnknownModelError, match="served: a; not z"):
        repository.find("z")


def test_an_unknown_version_is_refused_with_the_known_one(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path, "a/3"))

    with pytest.raises(UnknownVersionError, match="a has 3, not 4"):
        repository.find("a", "4")


def test_a_model_is_not_found_before_it_is_loaded(tmp_path):
    repository = Repository(make_repository_folder(tmp_path, "a/1"), load_fake)

    with pytest.raises(NotReadyError, match="a is loading"):
        repository.find("a")
    assert not repository.is_ready


def test_a_broken_model_says_why_and_the_others_are_served(tmp_path):
    def load(folder):
        if folder.parent.name == "bad":
            raise InvalidGraphError("saved_model.pb must be one that loads")
        return FakeRuntime()

    repository = load_repository(make_repository_folder(tmp_path, "bad/1", "good/1"), load)

    assert repository.find("good").name == "good"
    with pytest.raises(NotReadyError, match=r"bad is failed: saved_model\.pb must be"):
        repository.find("bad")
    assert not repository.is_ready


def test_a_loader_that_crashes_fails_its_model_only(tmp_path):
    def load(_):
        raise RuntimeError("secret details")

    repository = load_repository(make_repository_folder(tmp_path), load)

    (status,) = repository.statuses
    assert status.state is ModelState.FAILED
    assert "secret" not in status.reason


def test_a_model_that_is_asked_for_but_not_there_has_failed(tmp_path):
    repository = load_repository(tmp_path, names=("ghost",))

    (status,) = repository.statuses
    assert (status.state, status.reason) == (
        ModelState.FAILED,
        "no version of it is in the repository",
    )


def test_a_repository_without_models_is_not_ready(tmp_path):
    repository = load_repository(tmp_path)

    assert not repository.is_ready
    with pytest.raises(NotReadyError, match="there is none"):
        repository.find(None)


def test_loading_again_loads_nothing_twice(tmp_path):
    loaded = []

    def load(folder):
        loaded.append(folder.name)
        return FakeRuntime()

    repository = load_repository(make_repository_folder(tmp_path), load)
    asyncio.run(repository.load_all())

    assert loaded == ["1"]
