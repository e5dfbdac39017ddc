import asyncio
import json
import threading
import tracemalloc
import weakref
from itertools import count, islice

import httpx2
import numpy as np
import pytest

from lacuna.client import AsyncClient, Client, Question
from lacuna.client.preparation import prepare
from lacuna.client.protocols import tfserving
from lacuna.client.protocols.native import write_call
from lacuna.errors import InvalidImageError
from tests.lacuna.client.scripts import ANSWER

LARGE = np.arange(6_000_000).astype(np.uint8).reshape(2000, 1000, 3)
IMAGES = [np.full((2, 3 + index), 20 * index, np.uint8) for index in range(12)]


@pytest.fixture
def client(address):
    with Client(f"http://{address}") as client:
        yield client


def list_widths(results):
    return [result.labels.shape[1] for result in results]


def test_results_come_in_the_order_of_the_images(client):
    assert list_widths(client.map(IMAGES)) == list(range(3, 15))


def test_each_image_has_its_mask(client):
    masks = [None, *(np.zeros(image.shape, np.bool_) for image in IMAGES[1:])]

    results = list(client.map(IMAGES, masks, concurrency=3))

    assert [result.valid_pixels for result in results] == [6] + [0] * 11


def test_other_masks_than_images_are_refused(client):
    with pytest.raises(ValueError, match="as many as images; 12 images came, and 1 masks"):
        client.map(IMAGES, [None])


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [(3, 2, "2 masks came, and more images"), (2, 3, "2 images came, and more masks")],
)
def test_masks_that_cannot_be_counted_are_refused_where_they_end(client, images, masks, words):
    results = client.map(iter(IMAGES[:images]), iter([None] * masks))

    with pytest.raises(ValueError, match=words):
        list(results)


def test_a_misspelt_argument_is_refused_before_the_first_image(client):
    with pytest.raises(TypeError, match=r"map\(\) .* 'concurency'; did you mean 'concurrency'"):
        client.map(IMAGES, concurency=3)


def test_images_may_be_endless(client):
    endless = (np.zeros((1, width), np.uint8) for width in count(1))

    assert list_widths(islice(client.map(endless), 30)) == list(range(1, 31))


class Images:
    """Endless images, and the most of them that were in memory at once."""

    def __init__(self):
        self.alive, self.most = weakref.WeakSet(), 0

    def __iter__(self):
        while True:
            image = np.zeros((2, 3), np.uint8).view(Held)
            self.alive.add(image)
            self.most = max(self.most, len(self.alive))
            yield image


class Held(np.ndarray):
    """An array that is hashed by its identity, as weak sets need it."""

    def __hash__(self):
        return id(self)


def test_a_map_holds_no_more_images_than_twice_its_concurrency(client):
    images = Images()

    for _ in islice(client.map(images, concurrency=3), 50):
        pass

    # One more is being made, one is in the result that was given last, and one with its consumer.
    assert 6 <= images.most <= 2 * 3 + 3


def test_an_async_map_holds_as_many(address):
    images = Images()

    async def run():
        async with AsyncClient(f"http://{address}") as client:
            done = 0
            async for _ in client.map(images, concurrency=3):
                done += 1
                if done == 50:
                    break

    asyncio.run(run())

    assert 6 <= images.most <= 2 * 3 + 3


@pytest.mark.parametrize(("image", "copies"), [(LARGE, 2), (np.ma.masked_less(LARGE, 9), 4)])
def test_a_request_copies_its_image_few_times_and_keeps_one_copy(image, copies):
    tracemalloc.start()
    call = write_call(prepare(Question(image)), "application/json")
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(call.content) <= held < 1.4 * image.nbytes
    assert peak < (copies + 0.1) * image.nbytes


def test_a_request_in_json_takes_twice_the_memory_of_its_body():
    image = LARGE[:300].astype(np.float32)

    tracemalloc.start()
    call = tfserving.write_call("", image, None, probabilities=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    (row,) = json.loads(call.content)["instances"]
    assert np.array_equal(np.array(row["image"], np.float32), image)
    assert np.array_equal(row["mask"], np.ones((300, 1000, 1), np.bool_))
    # The last numbers that were lists take 4 MB.
    assert peak < 2.1 * len(call.content) + (4 << 20)


def test_the_first_error_is_raised(client):
    results = client.map([IMAGES[0], b"no image", IMAGES[1]])

    assert next(results).labels.shape == (2, 3)
    with pytest.raises(InvalidImageError):
        next(results)


def test_errors_can_take_the_place_of_results(client):
    damaged = b"\x93NUMPY\x01\x00"

    first, second, third, last = client.map(
        [IMAGES[0], damaged, "none.png", IMAGES[1]], return_errors=True
    )

    assert (first.labels.shape, last.labels.shape) == ((2, 3), (2, 4))
    assert isinstance(second, InvalidImageError)
    assert isinstance(third, FileNotFoundError)


def test_as_many_are_asked_at_once_as_is_said():
    barrier, most = threading.Barrier(3, timeout=30), []

    def answer(_):
        most.append(barrier.wait())
        return httpx2.Response(200, json=ANSWER)

    with Client("http://server", transport=httpx2.MockTransport(answer)) as client:
        assert len(list(client.map(IMAGES, concurrency=3))) == len(most) == 12


def test_a_progress_bar_is_drawn_on_the_standard_error(client, capsys):
    list(client.map(IMAGES, progress=True))

    printed = capsys.readouterr()
    assert "12/12" in printed.err
    assert printed.out == ""


def test_an_async_client_maps_the_same_way(address):
    async def run():
        async with AsyncClient(f"http://{address}") as client:
            images = [*IMAGES, "none.png"]
            return [one async for one in client.map(images, concurrency=2, return_errors=True)]

    *results, error = asyncio.run(run())

    assert list_widths(results) == list(range(3, 15))
    assert isinstance(error, FileNotFoundError)


def test_an_async_map_that_fails_leaves_no_task_behind(address):
    async def run():
        async with AsyncClient(f"http://{address}") as client:
            with pytest.raises(FileNotFoundError):
                async for _ in client.map([*IMAGES, "none.png", *IMAGES]):
                    pass
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
