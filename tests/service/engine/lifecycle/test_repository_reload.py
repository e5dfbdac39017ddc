import asyncio
import logging
import shutil
import weakref

import pytest

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    NotReadyError,
    UnknownModelError,
    UnknownVersionError,
)
from service.core.batching import BatchPolicy
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelRepository
from service.engine.lifecycle.warmup import WarmupPolicy
from tests.support.repositories import (
    BROKEN,
    Counting,
    Held,
    Numbered,
    Unwarmed,
    list_states,
    load_written,
    make_repository,
    poll_twice,
    write_version,
)
from tests.support.waiting import let_others_run

WARMUP = WarmupPolicy(1, BatchPolicy(), 64, 64)


def run_steps(root, *steps, **options):
    """Load a repository, then call the steps and await those that are coroutine functions."""

    async def scenario():
        repository = make_repository(root, **options)
        await repository.load_all()
        for step in steps:
            done = step(repository)
            if asyncio.iscoroutine(done):
                await done
        return repository

    return asyncio.run(scenario())


def write(root, place, content=0):
    return lambda _: write_version(root, place, content)


def refresh(repository):
    return repository.refresh()


async def drained(repository):
    """Poll twice, and wait until all retired versions are unloaded."""
    await poll_twice(repository)
    await repository.drain()


def get_number(repository, name="m", version=None):
    return repository.find(name, version).runtime.number


def get_reason(repository, version):
    (reason,) = [status.reason for status in repository.statuses if status.version == version]
    return reason


def test_the_only_model_in_the_repositorys_folder_is_loaded_when_it_comes_and_when_it_changes(
    tmp_path,
):
    first = run_steps(tmp_path, write(tmp_path, ".", 3), poll_twice, names=("m",))
    assert list_states(first) == {"m/1": "ready"}
    assert get_number(first) == 3

    second = run_steps(tmp_path, write(tmp_path, ".", 4), drained, names=("m",))
    assert list_states(second) == {"m/1": "ready"}
    assert get_number(second) == 4


def test_a_new_version_is_taken_at_the_second_look_that_finds_it(tmp_path):
    write_version(tmp_path, "m/1")
    first = run_steps(tmp_path, write(tmp_path, "m/2"), refresh)
    assert list_states(first) == {"m/1": "ready", "m/2": "loading"}
    assert get_reason(first, "2") == "its files are still changing"

    second = run_steps(tmp_path / "other", *[])
    assert second.statuses == []

    shutil.rmtree(tmp_path / "m" / "2")
    third = run_steps(tmp_path, write(tmp_path, "m/2"), drained)
    assert list_states(third) == {"m/1": "unloaded", "m/2": "ready"}
    assert third.find("m").version == "2"


def test_a_version_that_is_being_copied_is_not_taken_for_broken(tmp_path):
    write_version(tmp_path, "m/1")
    states = []

    def copy_more(size):
        def step(repository):
            states.append(list_states(repository))
            (tmp_path / "m" / "2" / "variables").write_bytes(bytes(size))

        return step

    def begin(_):
        (tmp_path / "m" / "2").mkdir()

    repository = run_steps(
        tmp_path,
        begin,
        refresh,
        copy_more(1),
        refresh,
        copy_more(2),
        poll_twice,
        copy_more(3),
        write(tmp_path, "m/2"),
        drained,
    )

    assert states == [{"m/1": "ready", "m/2": "loading"}] * 3
    assert repository.find("m").version == "2"


def test_a_folder_without_a_graph_says_what_it_waits_for(tmp_path):
    write_version(tmp_path, "m/1")
    (tmp_path / "m" / "2").mkdir()

    repository = run_steps(tmp_path, poll_twice)

    # At the start it was tried: somebody has said that the repository is complete.
    assert list_states(repository)["m/2"] == "failed"

    def begin(_):
        (tmp_path / "m" / "3").mkdir()

    repository = run_steps(tmp_path, begin, poll_twice)
    assert get_reason(repository, "3") == "there is no saved_model.pb or model.onnx in it yet"


def test_a_broken_new_version_leaves_the_old_one_serving_and_says_why(tmp_path):
    write_version(tmp_path, "m/1", 11)

    repository = run_steps(tmp_path, write(tmp_path, "m/2", BROKEN), poll_twice, poll_twice)

    assert get_number(repository) == 11
    assert repository.is_ready
    assert list_states(repository) == {"m/1": "ready", "m/2": "failed"}
    assert get_reason(repository, "2") == "saved_model.pb must be one that loads"
    with pytest.raises(NotReadyError, match="m 2 is failed: saved_model"):
        repository.find("m", "2")


def test_what_failed_is_tried_again_only_when_its_files_change(tmp_path):
    write_version(tmp_path, "m/1", 11)
    loader = Counting()

    repository = run_steps(
        tmp_path,
        write(tmp_path, "m/2", BROKEN),
        poll_twice,
        poll_twice,
        write(tmp_path, "m/2", 12),
        drained,
        load=loader,
    )

    assert loader.places == ["m/1", "m/2", "m/2"]
    assert get_number(repository) == 12


def test_a_version_that_is_replaced_is_swapped(tmp_path):
    write_version(tmp_path, "m/1", 11)

    repository = run_steps(tmp_path, write(tmp_path, "m/1", 12), poll_twice)

    assert get_number(repository) == 12
    assert list_states(repository) == {"m/1": "ready"}
    assert get_reason(repository, "1") == ""


def test_a_version_that_is_replaced_by_a_broken_one_answers_as_before_and_says_so(tmp_path):
    write_version(tmp_path, "m/1", 11)

    repository = run_steps(tmp_path, write(tmp_path, "m/1", BROKEN), poll_twice, poll_twice)

    assert get_number(repository) == 11
    assert repository.is_ready
    assert list_states(repository) == {"m/1": "ready"}
    assert "and the former ones serve: saved_model.pb must" in get_reason(repository, "1")


def remove(root, place):
    return lambda _: shutil.rmtree(root / place)


def test_the_only_version_goes_on_serving_when_it_is_deleted(tmp_path):
    write_version(tmp_path, "m/1", 11)

    repository = run_steps(tmp_path, remove(tmp_path, "m"), poll_twice, poll_twice)

    assert get_number(repository) == 11
    assert repository.is_ready


def test_deleting_a_version_brings_the_one_before_it_back(tmp_path):
    write_version(tmp_path, "m/1", 11)
    write_version(tmp_path, "m/2", 12)

    repository = run_steps(tmp_path, remove(tmp_path, "m/2"), drained, drained)

    assert get_number(repository) == 11
    assert list_states(repository) == {"m/1": "ready"}


def test_deleting_what_failed_clears_its_name(tmp_path):
    write_version(tmp_path, "m/1")
    write_version(tmp_path, "m/2", BROKEN)
    write_version(tmp_path, "bad/1", BROKEN)

    repository = run_steps(tmp_path, remove(tmp_path, "m/2"), remove(tmp_path, "bad"), poll_twice)

    assert list_states(repository) == {"m/1": "ready"}
    assert repository.is_ready


def test_a_repository_that_is_gone_for_a_while_changes_nothing(tmp_path):
    root, away = tmp_path / "root", tmp_path / "away"
    write_version(root, "m/1", 11)
    loader = Counting()

    repository = run_steps(
        root,
        lambda _: root.rename(away),
        poll_twice,
        poll_twice,
        lambda _: away.rename(root),
        poll_twice,
        load=loader,
    )

    assert get_number(repository) == 11
    assert loader.places == ["m/1"]


def test_a_new_model_is_served_beside_the_others(tmp_path):
    write_version(tmp_path, "a/1")

    repository = run_steps(tmp_path, write(tmp_path, "b/1"), poll_twice)

    assert [model.name for model in repository.models] == ["a", "b"]


def test_a_new_model_that_is_broken_takes_nothing_away(tmp_path):
    write_version(tmp_path, "a/1")

    repository = run_steps(tmp_path, write(tmp_path, "b/1", BROKEN), poll_twice)

    assert repository.is_ready
    assert repository.find(None).name == "a"
    assert list_states(repository) == {"a/1": "ready", "b/1": "failed"}


def test_models_that_are_not_to_be_served_are_not_picked_up(tmp_path):
    write_version(tmp_path, "a/1")

    repository = run_steps(tmp_path, write(tmp_path, "b/1"), poll_twice, names=("a",))

    assert list_states(repository) == {"a/1": "ready"}


def test_the_versions_of_a_policy_move_on(tmp_path):
    for version in (1, 2):
        write_version(tmp_path, f"m/{version}")

    repository = run_steps(tmp_path, write(tmp_path, "m/3"), drained, versions=VersionPolicy(2))

    assert list_states(repository) == {"m/1": "unloaded", "m/2": "ready", "m/3": "ready"}
    with pytest.raises(UnknownVersionError, match="m has 2, 3, not 1"):
        repository.find("m", "1")


def test_a_labelled_version_stays_when_higher_ones_come(tmp_path):
    write_version(tmp_path, "m/1", 11)

    repository = run_steps(
        tmp_path, write(tmp_path, "m/2", 12), drained, labels={"m": {"stable": "1"}}
    )

    assert repository.find("m", label="stable").runtime.number == 11
    assert get_number(repository) == 12


def test_while_a_version_loads_the_old_one_answers(tmp_path):
    write_version(tmp_path, "m/1", 11)
    loader = Held("m/2")

    async def scenario():
        repository = make_repository(tmp_path, loader)
        await repository.load_all()
        write_version(tmp_path, "m/2", 12)
        await repository.refresh()
        loading = asyncio.create_task(repository.refresh())
        await asyncio.to_thread(loader.begun.wait, 30)
        during = get_number(repository), list_states(repository), repository.is_ready
        loader.go.set()
        await loading
        return during, get_number(repository)

    during, after = asyncio.run(scenario())

    assert during == (11, {"m/1": "ready", "m/2": "loading"}, True)
    assert after == 12


def test_one_version_is_loaded_at_a_time(tmp_path):
    for place in ("a/1", "b/1", "c/1"):
        write_version(tmp_path, place)
    running, most = [], []

    def load(folder):
        running.append(folder)
        most.append(len(running))
        runtime = load_written(folder)
        running.remove(folder)
        return runtime

    async def scenario():
        repository = make_repository(tmp_path, load)
        await asyncio.gather(
            repository.load_all(), *(repository.load(name) for name in "abc"), repository.refresh()
        )

    asyncio.run(scenario())

    assert most == [1, 1, 1]


def test_what_is_borrowed_is_unloaded_when_it_is_given_back_and_its_memory_is_free(tmp_path):
    write_version(tmp_path, "m/1", 11)
    write_version(tmp_path, "m/2", 12)

    async def scenario():
        repository = make_repository(tmp_path)
        await repository.load_all()
        with repository.lease("m") as model:
            memory = weakref.ref(model.runtime)
            write_version(tmp_path, "m/3", 13)
            await poll_twice(repository)
            during = list_states(repository)["m/2"], get_number(repository), model.runtime.number
            with pytest.raises(UnknownVersionError):
                repository.find("m", "2")
            await let_others_run()
            assert memory() is not None
        del model
        await drained(repository)
        return during, list_states(repository)["m/2"], memory()

    during, state, memory = asyncio.run(scenario())

    assert during == ("unloading", 13, 12)
    assert state == "unloaded"
    assert memory is None


async def begin_third_generation(repository, root):
    """Replace m/1, which is leased, twice; return the load of m/3, which waits for it."""
    write_version(root, "m/2")
    await poll_twice(repository)
    write_version(root, "m/3")
    await repository.refresh()
    loading = asyncio.create_task(repository.refresh())
    async with asyncio.timeout(30):
        while list_states(repository).get("m/3") != "loading":  # folders are read on a thread
            await let_others_run()
    return loading


def test_no_third_generation_is_loaded_while_the_first_is_borrowed(tmp_path):
    write_version(tmp_path, "m/1")
    loader = Counting()

    async def scenario():
        repository = make_repository(tmp_path, loader)
        await repository.load_all()
        with repository.lease("m"):
            loading = await begin_third_generation(repository, tmp_path)
            during = loader.places[:]
        await loading
        return during

    assert asyncio.run(scenario()) == ["m/1", "m/2"]
    assert loader.places == ["m/1", "m/2", "m/3"]


@pytest.mark.parametrize(
    ("end", "states"),
    [
        (
            lambda repository: repository.unload("m"),
            {"m/1": "unloaded", "m/2": "unloaded", "m/3": "unloaded"},
        ),
        (
            lambda repository: repository.close(),
            {"m/1": "unloading", "m/2": "ready", "m/3": "loading"},
        ),
    ],
)
def test_what_is_unloaded_or_closed_while_a_load_waits_for_a_borrower_is_not_loaded(
    tmp_path, end, states
):
    write_version(tmp_path, "m/1")
    loader = Counting()

    async def scenario():
        repository = make_repository(tmp_path, loader)
        await repository.load_all()
        with repository.lease("m"):
            loading = await begin_third_generation(repository, tmp_path)
            ending = asyncio.create_task(end(repository))
            await let_others_run()
        await asyncio.gather(loading, ending)
        return list_states(repository)

    assert asyncio.run(scenario()) == states
    assert loader.places == ["m/1", "m/2"]


def test_what_is_replaced_in_place_is_freed_too(tmp_path):
    write_version(tmp_path, "m/1", 11)

    async def scenario():
        repository = make_repository(tmp_path)
        await repository.load_all()
        memory = weakref.ref(repository.find("m").runtime)
        write_version(tmp_path, "m/1", 12)
        await poll_twice(repository)
        await repository.unload("m")
        return memory()

    assert asyncio.run(scenario()) is None


def test_a_borrower_who_takes_too_long_keeps_the_model_and_holds_up_nobody(tmp_path, caplog):
    write_version(tmp_path, "m/1", 11)

    async def scenario():
        repository = make_repository(tmp_path, drain_s=0.0)
        await repository.load_all()
        with repository.lease("m") as model:
            await repository.unload("m")
            return list_states(repository), model.runtime.number

    states, number = asyncio.run(scenario())

    assert states == {"m/1": "unloaded"}
    assert number == 11
    assert "model dropped while requests still use it" in caplog.messages


def test_unloading_waits_for_what_is_borrowed(tmp_path):
    write_version(tmp_path, "m/1")

    async def scenario():
        repository = make_repository(tmp_path)
        await repository.load_all()
        with repository.lease("m"), repository.lease("m", "1"):
            unloading = asyncio.create_task(repository.unload("m"))
            await let_others_run()
            await let_others_run()
            assert not unloading.done()
            assert list_states(repository) == {"m/1": "unloading"}
        await unloading
        return repository

    repository = asyncio.run(scenario())

    assert list_states(repository) == {"m/1": "unloaded"}
    assert repository.models == []
    with pytest.raises(NotReadyError, match="m is unloaded"):
        repository.find("m")


def test_what_is_unloaded_by_call_is_loaded_again_by_call_only(tmp_path):
    write_version(tmp_path, "a/1")
    write_version(tmp_path, "b/1")
    states = []

    repository = run_steps(
        tmp_path,
        lambda repository: repository.unload("b"),
        write(tmp_path, "b/2"),
        poll_twice,
        lambda repository: states.append((list_states(repository), repository.is_ready)),
        lambda repository: repository.load("b"),
    )

    assert states == [({"a/1": "ready", "b/1": "unloaded"}, True)]
    assert repository.find("b").version == "2"


def test_a_server_whose_models_are_all_unloaded_is_not_ready(tmp_path):
    write_version(tmp_path, "m/1")

    assert not run_steps(tmp_path, lambda repository: repository.unload("m")).is_ready


def test_a_call_trusts_what_is_there(tmp_path):
    write_version(tmp_path, "m/1")

    repository = run_steps(
        tmp_path,
        write(tmp_path, "m/2"),
        write(tmp_path, "n/1"),
        lambda repository: repository.load("m"),
        lambda repository: repository.load("n"),
    )

    assert (repository.find("m").version, repository.find("n").version) == ("2", "1")


def test_a_call_tells_what_is_wrong_and_the_old_version_answers(tmp_path):
    write_version(tmp_path, "m/1", 11)
    loader = Counting()

    async def load_broken(repository):
        for _ in range(2):
            with pytest.raises(InvalidGraphError, match="must be one that loads"):
                await repository.load("m")

    repository = run_steps(tmp_path, write(tmp_path, "m/2", BROKEN), load_broken, load=loader)

    assert get_number(repository) == 11
    # A call tries again what a poll would not.
    assert loader.places == ["m/1", "m/2", "m/2"]


@pytest.mark.parametrize("name", ["ghost", "../m", ".", "", "m/1"])
def test_what_is_not_there_cannot_be_loaded(tmp_path, name):
    write_version(tmp_path, "m/1")

    async def load(repository):
        with pytest.raises(UnknownModelError):
            await repository.load(name)

    assert list_states(run_steps(tmp_path, load)) == {"m/1": "ready"}


def test_a_call_loads_no_model_that_is_not_to_be_served(tmp_path):
    write_version(tmp_path, "a/1")
    write_version(tmp_path, "b/1")

    async def load(repository):
        with pytest.raises(UnknownModelError, match="served: a; not b"):
            await repository.load("b")

    run_steps(tmp_path, load, names=("a",))


def test_what_is_unloaded_while_it_loads_never_answers(tmp_path):
    write_version(tmp_path, "m/1")
    loader = Held("m/1")

    async def scenario():
        repository = make_repository(tmp_path, loader)
        loading = asyncio.create_task(repository.load_all())
        await asyncio.to_thread(loader.begun.wait, 30)
        await repository.unload("m")
        loader.go.set()
        await loading
        return repository

    repository = asyncio.run(scenario())

    assert list_states(repository) == {"m/1": "unloaded"}
    assert repository.models == []


def test_who_loads_what_is_unloaded_meanwhile_is_told(tmp_path):
    write_version(tmp_path, "m/1")
    loader = Held("m/2")

    async def scenario():
        repository = make_repository(tmp_path, loader)
        await repository.load_all()
        write_version(tmp_path, "m/2")
        loading = asyncio.create_task(repository.load("m"))
        await asyncio.to_thread(loader.begun.wait, 30)
        await repository.unload("m")
        loader.go.set()
        with pytest.raises(NotReadyError, match="must not be unloaded while it loads; m was"):
            await loading
        return repository

    assert list_states(asyncio.run(scenario())) == {"m/1": "unloaded", "m/2": "unloaded"}


def test_a_caller_who_leaves_leaves_no_model_half_loaded(tmp_path):
    write_version(tmp_path, "m/1")
    loader = Held("m/2")

    async def scenario():
        repository = make_repository(tmp_path, loader)
        await repository.load_all()
        write_version(tmp_path, "m/2")
        call = asyncio.create_task(repository.load("m"))
        await asyncio.to_thread(loader.begun.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        loader.go.set()
        await repository.load("m")
        return repository.find("m").version

    assert asyncio.run(scenario()) == "2"


def test_while_it_is_warmed_a_version_tells_how_far_and_does_not_answer(tmp_path):
    write_version(tmp_path, "m/1")
    runtime = Unwarmed()

    async def scenario():
        repository = ModelRepository(tmp_path, lambda _: runtime, warmup=WARMUP)
        loading = asyncio.create_task(repository.load_all())
        await asyncio.to_thread(runtime.begun.wait, 30)
        await let_others_run()
        (during,) = repository.statuses
        with pytest.raises(NotReadyError, match="m is warming"):
            repository.find("m")
        runtime.go.set()
        await loading
        return during, repository

    during, repository = asyncio.run(scenario())

    assert during.state == "warming"
    assert 0 < during.warmed < 1
    assert [status.warmed for status in repository.statuses] == [1.0]


def test_a_server_that_goes_away_abandons_what_it_warms(tmp_path):
    write_version(tmp_path, "m/1")
    runtime = Unwarmed()

    async def scenario():
        repository = ModelRepository(tmp_path, lambda _: runtime, warmup=WARMUP)
        loading = asyncio.create_task(repository.load_all())
        await asyncio.to_thread(runtime.begun.wait, 30)
        await repository.close()
        runtime.go.set()
        await loading
        return repository

    assert asyncio.run(scenario()).models == []


def test_each_change_of_state_is_a_line_of_the_log_with_its_reason(tmp_path, caplog):
    write_version(tmp_path, "m/1")
    with caplog.at_level(logging.INFO, "service.engine"):
        run_steps(
            tmp_path, write(tmp_path, "m/2", BROKEN), poll_twice, write(tmp_path, "m/3"), drained
        )

    assert [
        (record.version, record.message, getattr(record, "reason", "")) for record in caplog.records
    ] == [
        ("1", "model loading", ""),
        ("1", "model ready", ""),
        ("2", "model loading", "its files are still changing"),
        ("2", "model loading", ""),
        ("2", "model failed", "saved_model.pb must be one that loads"),
        ("3", "model loading", "its files are still changing"),
        ("3", "model loading", ""),
        ("3", "model ready", ""),
        ("1", "model unloading", ""),
        ("1", "model unloaded", ""),
    ]
    assert {record.model for record in caplog.records} == {"m"}


def test_a_failed_load_leaves_nothing_in_memory(tmp_path):
    write_version(tmp_path, "m/1")
    made = []

    class Fails(Numbered):
        def run(self, images, masks, *, probabilities, keep=None):
            raise InferenceError("no memory")

    def load(_):
        runtime = Fails(1)
        made.append(weakref.ref(runtime))
        return runtime

    async def fail(repository):
        with pytest.raises(InferenceError):
            await repository.load("m")

    repository = run_steps(tmp_path, fail, load=load)

    assert list_states(repository) == {"m/1": "failed"}
    assert [reference() for reference in made] == [None, None]
