"""Versions change while requests come without a pause."""

import asyncio
import io
import weakref

import httpx2
import numpy as np

from lacuna.errors import InferenceError
from tests.support.apps import serve
from tests.support.repositories import (
    BROKEN,
    Numbered,
    list_states,
    load_written,
    poll_twice,
    run_repository,
    write_version,
)

CLIENTS = 6
RELOADS = 20
FAILING = "failing"
BAD = {4: BROKEN, 7: FAILING, 11: BROKEN, 12: FAILING, 19: "no number"}
IN_PLACE = {3, 4, 9, 12, 16}


class Failing(Numbered):
    """Loads, and fails its check."""

    def run(self, images, masks, *, probabilities, keep=None):
        raise InferenceError("no memory")


class Loader:
    """Remembers, weakly, what it has loaded."""

    def __init__(self):
        self.loaded = []

    def __call__(self, folder):
        if (folder / "saved_model.pb").read_text() == FAILING:
            runtime = Failing(39)
        else:
            runtime = load_written(folder)
        self.loaded.append(weakref.ref(runtime))
        return runtime


class Load:
    """Clients that ask one thing after the other, and note what answered and what could have."""

    def __init__(self, repository, client):
        self._repository, self._client = repository, client
        self._live = []
        self._answered = asyncio.Condition()
        self._stopping = False
        self.numbers = []

    def observe(self):
        """Note what is live; give its place in the order of all that were."""
        number = self._repository.find("m").runtime.number
        if not self._live or self._live[-1] != number:
            self._live.append(number)
        return len(self._live) - 1

    async def run(self, seed):
        rng = np.random.default_rng(seed)
        while not self._stopping:
            height, width = rng.integers(1, 20, 2)
            mask = rng.random((height, width)) < 0.7
            mask[0, 0] = True
            first = self.observe()
            labels = await self._ask(rng.integers(0, 256, (height, width)).astype(np.uint8), mask)
            last = self.observe()
            (number,) = set(labels[mask].tolist())
            assert (labels[~mask] == 255).all()
            assert number in self._live[first : last + 1]
            async with self._answered:
                self.numbers.append(number)
                self._answered.notify_all()

    async def wait_for(self, number):
        """Wait until every client could have been answered by a version, and one was."""
        async with self._answered:
            seen = len(self.numbers) + CLIENTS
            await self._answered.wait_for(
                lambda: len(self.numbers) > seen and self.numbers[-1] == number
            )

    def stop(self):
        self._stopping = True

    async def _ask(self, image, mask):
        response = await self._client.post(
            "/v1/segment",
            files={"image": encode(image), "mask": encode(mask)},
            headers={"Accept": "application/x-npy"},
        )
        assert response.status_code == 200, response.text
        return np.load(io.BytesIO(response.content))


def encode(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


async def reload_under_load(root, repository, app):
    """Let clients ask without a pause while versions come and are replaced, good and bad ones."""
    transport = httpx2.ASGITransport(app)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://here") as client,
        asyncio.TaskGroup() as tasks,
    ):
        load = Load(repository, client)
        for seed in range(CLIENTS):
            tasks.create_task(load.run(seed))
        live = version = 1
        for number in range(2, RELOADS + 2):
            version += number not in IN_PLACE
            write_version(root, f"m/{version}", BAD.get(number, number))
            await poll_twice(repository)
            load.observe()
            live = live if number in BAD else number
            await load.wait_for(live)
            assert repository.is_ready
        load.stop()
    await repository.drain()
    return load.numbers


def test_twenty_reloads_under_load_lose_and_mix_up_nothing(tmp_path):
    loader = Loader()
    write_version(tmp_path, "m/1", 1)
    repository = run_repository(tmp_path, load=loader, poll_s=0)

    with serve(repository) as client:
        numbers = client.portal.call(reload_under_load, tmp_path, repository, client.app)

    good = [number for number in range(1, RELOADS + 2) if number not in BAD]
    assert list(dict.fromkeys(numbers)) == good
    assert len(numbers) > RELOADS * CLIENTS
    assert set(list_states(repository).values()) == {"ready", "failed", "unloaded"}
    alive = [runtime().number for runtime in loader.loaded if runtime() is not None]
    assert alive == [RELOADS + 1]
