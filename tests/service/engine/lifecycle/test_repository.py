import asyncio

import pytest

from lacuna.errors import (
    MalformedRequestError,
    NotReadyError,
    OutOfMemoryError,
    OverloadedError,
    UnknownModelError,
    UnknownVersionError,
)
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelState
from tests.support.repositories import (
    BROKEN,
    Counting,
    list_states,
    load_written,
    make_repository,
    poll_twice,
    run_repository,
    write_version,
)

ALL = VersionPolicy(None)


def write_versions(root, *places):
    for place in places:
        write_version(root, place)
    return root


def test_the_highest_version_is_served(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/2", "m/10"))

    assert repository.find("m").version == "10"
    assert repository.list_versions("m") == ["10"]


def test_the_only_model_need_not_be_named(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"))

    assert repository.find(None).name == "m"


def test_one_of_several_models_must_be_named(tmp_path):
    repository = run_repository(write_versions(tmp_path, "a/1", "b/1"))

    with pytest.raises(MalformedRequestError, match="several are served; it names none of a, b"):
        repository.find(None)


def test_a_request_that_names_no_model_gets_the_default(tmp_path):
    root = write_versions(tmp_path, "a/1", "b/1", "b/2")
    repository = run_repository(root, default_model="b")

    assert (repository.find(None).name, repository.find(None).version) == ("b", "2")
    assert repository.find("a").name == "a"
    assert repository.default_model == "b"


def test_without_a_setting_the_only_model_is_the_default(tmp_path):
    assert run_repository(write_versions(tmp_path / "one", "m/1")).default_model == "m"
    several = run_repository(write_versions(tmp_path / "several", "a/1", "b/1"))
    assert several.default_model is None


def test_another_model_does_not_answer_for_a_default_that_is_not_there(tmp_path, caplog):
    repository = run_repository(write_versions(tmp_path, "a/1"), default_model="b")

    assert repository.default_model is None
    rule = "if LACUNA_REPOSITORY__DEFAULT_MODEL is not served; it names none of a, and the default"
    with pytest.raises(UnknownModelError, match=f"{rule} is b"):
        repository.find(None)
    (line,) = [line for line in caplog.records if line.message == "the default model is not there"]
    assert (line.levelname, line.model) == ("WARNING", "b")


def test_a_default_that_comes_later_answers_from_then_on(tmp_path):
    repository = make_repository(write_versions(tmp_path, "a/1"), default_model="b")

    async def fill():
        await repository.load_all()
        write_version(tmp_path, "b/1")
        await repository.load("b")
        return repository.find(None).name

    assert asyncio.run(fill()) == "b"


def test_a_default_that_is_unloaded_is_not_replaced(tmp_path):
    repository = make_repository(write_versions(tmp_path, "a/1", "b/1"), default_model="b")

    async def unload():
        await repository.load_all()
        await repository.unload("b")

    asyncio.run(unload())

    with pytest.raises(NotReadyError, match="b"):
        repository.find(None)


def test_only_the_models_asked_for_are_loaded(tmp_path):
    repository = run_repository(write_versions(tmp_path, "a/1", "b/1"), names=("b",))

    assert [model.name for model in repository.models] == ["b"]


def test_several_versions_are_served_where_the_policy_says_so(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1", "m/2", "m/10"), versions=ALL)

    assert repository.list_versions("m") == ["1", "2", "10"]
    assert repository.find("m", "2").version == "2"
    assert repository.find("m").version == "10"


def test_a_model_may_have_a_policy_of_its_own(tmp_path):
    root = write_versions(tmp_path, "a/1", "a/2", "b/1", "b/2")
    repository = run_repository(root, model_versions={"b": VersionPolicy(None, ("1",))})

    assert (repository.list_versions("a"), repository.list_versions("b")) == (["2"], ["1"])


def test_labels_name_versions(tmp_path):
    root = write_versions(tmp_path, "m/1", "m/2", "m/3")
    repository = run_repository(root, labels={"m": {"stable": "2", "first": "1"}})

    found = {label: repository.find("m", label=label).version for label in ("stable", "first")}
    assert found == {"stable": "2", "first": "1"}
    assert repository.find("m", label="latest").version == "3"
    assert repository.list_labels("m", "3") == ["latest"]


def test_without_a_setting_stable_is_what_answers(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"))

    assert repository.find("m", label="stable").version == "1"
    assert repository.list_labels("m", "1") == ["latest", "stable"]


def test_an_unknown_label_is_refused_with_the_known_ones(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"), labels={"m": {"first": "1"}})

    with pytest.raises(UnknownVersionError, match="latest, stable, first; it is newest"):
        repository.find("m", label="newest")


def test_a_label_of_what_is_not_there_is_refused(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"), labels={"m": {"first": "7"}})

    with pytest.raises(UnknownVersionError, match="m has 1, not 7"):
        repository.find("m", label="first")


def test_a_version_and_a_label_exclude_each_other(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"))

    with pytest.raises(MalformedRequestError, match="names 1 and latest"):
        repository.find("m", "1", "latest")


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path):
    repository = run_repository(write_versions(tmp_path, "a/1"))

    with pytest.raises(UnknownModelError, match="served: a; not z"):
        repository.find("z")
    with pytest.raises(UnknownModelError):
        repository.list_versions("z")


@pytest.mark.parametrize("version", ["4", "01", "../3", "3/../3", "", "³", "9" * 5000])
def test_an_unknown_version_is_refused_with_the_known_one(tmp_path, version):
    repository = run_repository(write_versions(tmp_path, "a/3"))

    with pytest.raises(UnknownVersionError, match=f"a has 3, not {version[:100]}$"):
        repository.find("a", version)


def test_a_model_is_known_but_not_found_before_it_is_loaded(tmp_path):
    repository = make_repository(write_versions(tmp_path, "a/1"))

    with pytest.raises(NotReadyError, match="a is loading"):
        repository.find("a")
    assert list_states(repository) == {"a/1": "loading"}
    assert not repository.is_ready


def test_a_broken_model_says_why_and_the_others_are_served(tmp_path):
    write_version(tmp_path, "bad/1", BROKEN)
    repository = run_repository(write_versions(tmp_path, "good/1"))

    assert repository.find("good").name == "good"
    with pytest.raises(NotReadyError, match=r"bad is failed: saved_model\.pb must be"):
        repository.find("bad")
    with pytest.raises(NotReadyError, match=r"bad 1 is failed: saved_model\.pb must be"):
        repository.find("bad", "1")
    assert not repository.is_ready


def test_at_the_start_the_next_lower_version_stands_in_for_a_broken_one(tmp_path):
    write_version(tmp_path, "m/2", BROKEN)
    repository = run_repository(write_versions(tmp_path, "m/1"))

    assert repository.find("m").version == "1"
    assert list_states(repository) == {"m/1": "ready", "m/2": "failed"}
    assert repository.is_ready


def test_a_loader_that_crashes_fails_its_model_only(tmp_path):
    def load(_):
        raise RuntimeError("secret details")

    repository = run_repository(write_versions(tmp_path, "m/1"), load=load)

    (status,) = repository.statuses
    assert status.state is ModelState.FAILED
    assert "secret" not in status.reason


SHORTAGES = [
    MemoryError(),
    OutOfMemoryError("there must be memory to load the model; it has run out"),
    RuntimeError("can't start new thread"),
]


class Starved:
    """Loader that has no memory for a version until it has tried so many times."""

    def __init__(self, error, version="1", times=1):
        self.error, self.version, self.times = error, version, times

    def __call__(self, folder):
        if folder.name == self.version and self.times:
            self.times -= 1
            raise self.error
        return load_written(folder)


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_a_model_that_there_is_no_memory_for_is_loaded_again(tmp_path, error):
    write_versions(tmp_path, "m/1", "other/2")
    repository = run_repository(tmp_path, load=Starved(error, times=2))

    assert list_states(repository) == {"m/1": "loading", "other/2": "ready"}
    with pytest.raises(NotReadyError, match="m is loading: there must be memory to load the model"):
        repository.find("m")
    asyncio.run(repository.refresh())
    assert list_states(repository)["m/1"] == "loading"
    asyncio.run(repository.refresh())
    assert list_states(repository) == {"m/1": "ready", "other/2": "ready"}


def test_a_version_that_there_is_no_memory_for_leaves_the_former_one_in_service(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"), load=Starved(MemoryError(), "2"))

    async def poll():
        write_version(tmp_path, "m/2")
        await poll_twice(repository)
        starved = list_states(repository)
        await repository.refresh()
        await repository.drain()
        return starved

    assert asyncio.run(poll()) == {"m/1": "ready", "m/2": "loading"}
    assert repository.find("m").version == "2"


def test_new_files_that_there_is_no_memory_for_leave_the_former_ones_in_service(tmp_path):
    write_version(tmp_path, "m/1", 1)
    load = Starved(MemoryError(), times=0)
    repository = run_repository(tmp_path, load=load)
    load.times = 1

    async def poll():
        write_version(tmp_path, "m/1", 2)
        await poll_twice(repository)
        (status,) = repository.statuses
        number = repository.find("m").runtime.number
        await repository.refresh()
        return status, number

    status, number = asyncio.run(poll())

    assert (status.state, number) == (ModelState.READY, 1)
    assert "the former ones serve: there must be memory" in status.reason
    assert repository.find("m").runtime.number == 2


@pytest.mark.parametrize("name", ["ghost", "../m", ".."])
def test_a_model_that_is_asked_for_but_not_there_has_failed(tmp_path, name):
    repository = run_repository(write_versions(tmp_path / "root", "m/1"), names=(name,))

    (status,) = repository.statuses
    assert (status.name, status.state) == (name, ModelState.FAILED)
    assert status.reason.startswith(
        "the repository has no version" if name == "ghost" else "a model's name must be"
    )
    assert not repository.is_ready


def test_a_repository_without_models_is_not_ready(tmp_path):
    repository = run_repository(tmp_path)

    assert not repository.is_ready
    with pytest.raises(NotReadyError, match="there is none"):
        repository.find(None)


def read_log(caplog, message):
    return [record.reason for record in caplog.records if record.message == message]


def test_a_repository_of_another_layout_is_explained_in_the_log(tmp_path, caplog):
    write_version(tmp_path, "m/1")

    run_repository(tmp_path / "m")

    (reason,) = read_log(caplog, "no models found")
    assert reason.startswith(
        "a model repository must hold <model>/<version>/saved_model.pb or model.onnx; "
    )
    assert reason.endswith(f"; 1/saved_model.pb is in {tmp_path / 'm'}: give its parent")


def test_a_version_that_is_ignored_is_named_in_the_log_at_the_start(tmp_path, caplog):
    run_repository(write_versions(tmp_path, "m/1", "m/0002"))

    assert read_log(caplog, "ignored in the repository") == [
        "m/0002 is no version, which has no leading zeros: name it 2"
    ]


def test_a_model_that_is_asked_for_says_what_its_folder_holds_instead(tmp_path):
    write_version(tmp_path, "m")

    (status,) = run_repository(tmp_path, names=("m",)).statuses

    assert status.reason == (
        "the repository has no version of this model; saved_model.pb is in m: move its files to m/1"
    )


def test_a_file_that_cannot_be_read_is_named_without_its_path(tmp_path):
    def load(folder):
        raise PermissionError(13, "Permission denied", str(folder / "variables" / "index"))

    (status,) = run_repository(write_versions(tmp_path, "m/1"), load=load).statuses

    assert status.state is ModelState.FAILED
    assert status.reason == "the files of a version must be readable; index: Permission denied"


def test_a_version_that_leads_out_of_the_repository_is_not_served(tmp_path):
    write_version(tmp_path, "outside/1")
    (tmp_path / "root" / "m").mkdir(parents=True)
    (tmp_path / "root" / "m" / "1").symlink_to(tmp_path / "outside" / "1")
    loader = Counting()

    repository = run_repository(tmp_path / "root", load=loader)

    (status,) = repository.statuses
    assert status.state is ModelState.FAILED
    assert "m/1 is a link that leads out" in status.reason
    assert loader.places == []


def test_nothing_is_loaded_while_its_files_change(tmp_path):
    def load(folder):
        write_version(tmp_path, "m/1", 7)
        return Counting()(folder)

    repository = run_repository(write_versions(tmp_path, "m/1"), load=load)

    (status,) = repository.statuses
    assert status.state is ModelState.FAILED
    assert "must not change while they are loaded" in status.reason


def test_loading_again_loads_nothing_twice(tmp_path):
    loader = Counting()
    repository = run_repository(write_versions(tmp_path, "m/1"), load=loader)

    asyncio.run(repository.load_all())

    assert loader.places == ["m/1"]


def test_a_model_answers_no_more_requests_at_once_than_it_may(tmp_path):
    root = write_versions(tmp_path, "a/1", "a/2", "b/1")
    repository = run_repository(root, versions=ALL, max_pending={"a": 2})

    with repository.lease("a", "1"), repository.lease("a", "2"), repository.lease("b"):
        with (
            pytest.raises(OverloadedError, match="requests of a must be at most 2; there are 2"),
            repository.lease("a"),
        ):
            pytest.fail("a third was taken in")
        with repository.lease("b") as model:
            assert model.name == "b"
    with repository.lease("a"):
        pass


def test_what_fails_while_it_is_borrowed_is_given_back(tmp_path):
    repository = run_repository(write_versions(tmp_path, "m/1"), max_pending={"m": 1})

    for _ in range(2):
        with pytest.raises(ZeroDivisionError), repository.lease("m"):
            raise ZeroDivisionError
