import asyncio

import pytest

from service.engine.lifecycle.watcher import watch_repository
from tests.support.repositories import make_repository, write_version
from tests.support.waiting import let_others_run


class TiredError(Exception):
    """Exception that ends an endless watch."""


class Sleeping:
    """Sleep function that runs the next step instead of waiting, until no step is left."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.waits_s = []

    async def __call__(self, wait_s):
        self.waits_s.append(wait_s)
        if not self.steps:
            raise TiredError
        self.steps.pop(0)()


def watch(repository, *steps):
    sleep = Sleeping(*steps)
    with pytest.raises(TiredError):
        asyncio.run(watch_repository(repository, sleep))
    return sleep.waits_s


def wait():
    pass


def test_models_are_loaded_and_new_versions_followed(tmp_path):
    write_version(tmp_path, "m/1")
    repository = make_repository(tmp_path, poll_s=2.5)

    waits_s = watch(repository, lambda: write_version(tmp_path, "m/2"), wait)

    assert repository.find("m").version == "2"
    assert waits_s == [2.5, 2.5, 2.5]


def test_without_a_poll_models_are_loaded_once(tmp_path):
    write_version(tmp_path, "m/1")
    repository = make_repository(tmp_path, poll_s=0)
    sleep = Sleeping()

    asyncio.run(watch_repository(repository, sleep))

    assert repository.is_ready
    assert sleep.waits_s == []


class Faltering:
    """Repository in which every other scan fails."""

    def __init__(self, policy):
        self.policy = policy
        self.scans = []

    async def load_all(self):
        self._scan("load_all")

    async def refresh(self):
        self._scan("refresh")

    def _scan(self, how):
        self.scans.append(how)
        if len(self.scans) % 2:
            raise ZeroDivisionError


def test_a_look_that_goes_wrong_is_not_the_last(tmp_path, caplog):
    repository = Faltering(make_repository(tmp_path).policy)

    watch(repository, wait, wait, wait)

    assert repository.scans == ["load_all", "load_all", "refresh", "refresh"]
    assert "could not be refreshed" in caplog.messages[0]


def test_a_watch_ends_when_it_is_cancelled(tmp_path):
    async def scenario():
        watching = asyncio.create_task(watch_repository(make_repository(tmp_path)))
        await let_others_run()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    asyncio.run(scenario())
