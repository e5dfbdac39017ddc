import asyncio

import numpy as np
import pytest

from lacuna.errors import InferenceError
from lacuna.sample import Sample
from service.engine.progress import ProgressBoard
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.served import ServedModel
from service.runtime.contract.report import ContractReport
from tests.support.runtimes import FailingOnSevens, FakeRuntime

SMALL = EnginePolicy(window_pixels=64)


def segment(runtime, progress, *samples):
    """Segment samples in windows of 64 pixels, and count them."""
    model = ServedModel("fake", "1", runtime, ContractReport(()))

    async def scenario():
        segmenter = Segmenter(SMALL)
        try:
            for sample in samples:
                await segmenter.segment(model, sample, progress=progress)
        finally:
            await asyncio.to_thread(segmenter.close)

    asyncio.run(scenario())


def fill_sample(side, brightness=100, *, valid=True):
    return Sample(np.full((side, side, 1), brightness, np.uint8), np.full((side, side), valid))


def test_the_windows_of_all_images_of_a_request_are_counted():
    board = ProgressBoard()
    progress = board.begin("me", "mine")
    segment(FakeRuntime(), progress, fill_sample(4))
    assert (progress.done, progress.total) == (1, 1)
    segment(FakeRuntime(), progress, fill_sample(30), fill_sample(30, valid=False))

    assert progress.done == progress.total > 4
    assert not progress.has_ended
    board.end(progress)
    assert board.find("me", "mine") is progress
    assert progress.has_ended
    assert progress.done == progress.total


def test_windows_that_never_ran_are_not_done_after_a_failure():
    board = ProgressBoard()
    progress = board.begin("me", "mine")
    with pytest.raises(InferenceError):
        segment(FailingOnSevens(), progress, fill_sample(30, 7))
    board.end(progress)

    assert progress.has_ended
    assert progress.done < progress.total


def test_a_client_finds_its_own_requests_only():
    board = ProgressBoard()
    mine, theirs = board.begin("me", "one"), board.begin("they", "one")

    assert board.find("me", "one") is mine
    assert board.find("they", "one") is theirs
    assert board.find("me", "another") is None


def test_of_two_requests_with_one_id_the_later_is_found():
    board = ProgressBoard()
    first, second = board.begin("me", "one"), board.begin("me", "one")
    board.end(first)
    assert board.find("me", "one") is second
    board.end(second)
    assert board.find("me", "one") is second
    third = board.begin("me", "one")
    assert board.find("me", "one") is third


def test_the_oldest_of_the_ended_requests_is_forgotten_and_none_that_runs():
    board = ProgressBoard(remembered=2)
    running = board.begin("me", "running")
    for name in "abac":
        board.end(board.begin("me", name))

    assert board.find("me", "running") is running
    assert [name for name in "abc" if board.find("me", name)] == ["a", "c"]
