import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.sample import Sample
from service.engine.repository import ServedModel
from service.engine.segmenter import Segmenter
from service.errors import DeadlineExceededError, InferenceError
from service.runtime.fake import FakeRuntime
from service.runtime.probe import Check, ContractReport

HOLDS = ContractReport(())
BROKEN = ContractReport((Check("canvas", False, "7 of 9 labels differ"),))


class Recording(FakeRuntime):
    """Remembers the shapes it was called with."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def run(self, images, masks, *, probabilities):
        self.shapes.append(images.shape)
        return super().run(images, masks, probabilities=probabilities)


class Failing(FakeRuntime):
    def run(self, images, masks, *, probabilities):
        raise InferenceError("the model failed: no memory")


class Waiting(FakeRuntime):
    """Runs only once it is let."""

    def __init__(self):
        super().__init__()
        self.begun, self.go, self.calls = threading.Event(), threading.Event(), 0

    def run(self, images, masks, *, probabilities):
        self.calls += 1
        self.begun.set()
        assert self.go.wait(10)
        return super().run(images, masks, probabilities=probabilities)


def draw_sample(rng, height, width, valid):
    image = rng.integers(0, 256, (height, width, 1)).astype(np.uint8)
    return Sample.clean(image, rng.random((height, width)) < valid)


def segment(runtime, sample, contract=HOLDS, **options):
    segmenter = Segmenter()
    try:
        model = ServedModel("fake", "1", runtime, contract)
        return asyncio.run(segmenter.segment(model, sample, **options))
    finally:
        segmenter.close()


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.6, 1.0]), st.integers()
)
def test_cropping_and_padding_change_no_answer(height, width, valid, seed):
    sample = draw_sample(np.random.default_rng(abs(seed)), height, width, valid)
    whole = FakeRuntime().run(
        sample.image[None].astype(np.float32), sample.mask[None], probabilities=True
    )

    segmentation = segment(FakeRuntime(), sample, probabilities=True).segmentation

    assert np.array_equal(segmentation.labels, whole.labels[0])
    kept = np.where(sample.mask[..., None], whole.probabilities[0], 0)
    assert np.array_equal(segmentation.probabilities * sample.mask[..., None], kept)


def test_only_the_box_of_valid_pixels_is_computed():
    runtime = Recording()
    mask = np.zeros((100, 200), bool)
    mask[50:60, 120:130] = True

    segment(runtime, Sample(np.zeros((100, 200, 1), np.uint8), mask))

    assert runtime.shapes == [(1, 12, 12, 1)]


def test_without_a_valid_pixel_the_model_is_not_asked():
    runtime = Recording()

    result = segment(runtime, draw_sample(np.random.default_rng(0), 9, 9, 0.0), probabilities=True)

    assert runtime.shapes == []
    assert (result.segmentation.labels == 255).all()
    assert result.segmentation.probabilities is not None
    assert not result.segmentation.probabilities.any()


def test_a_model_that_breaks_the_contract_sees_the_exact_image():
    runtime = Recording()
    mask = np.zeros((13, 17), bool)
    mask[5, 5] = True

    segment(runtime, Sample(np.zeros((13, 17, 1), np.uint8), mask), BROKEN)

    assert runtime.shapes == [(1, 13, 17, 1)]


def test_a_failing_model_fails_its_request():
    with pytest.raises(InferenceError, match="no memory"):
        segment(Failing(), draw_sample(np.random.default_rng(0), 4, 4, 1.0))


def test_work_whose_time_is_up_in_the_queue_never_runs():
    runtime = Waiting()
    model = ServedModel("fake", "1", runtime, HOLDS)
    sample = draw_sample(np.random.default_rng(0), 4, 4, 1.0)

    async def scenario():
        segmenter = Segmenter()
        first = asyncio.create_task(segmenter.segment(model, sample))
        await asyncio.to_thread(runtime.begun.wait, 10)
        with pytest.raises(DeadlineExceededError, match=r"0\.01 s were not enough"):
            await segmenter.segment(model, sample, timeout_s=0.01)
        runtime.go.set()
        await first
        await asyncio.to_thread(segmenter.close)

    asyncio.run(scenario())

    assert runtime.calls == 1


def test_the_time_in_the_queue_is_told_apart_from_the_work():
    asked, began, done = 10.0, 13.0, 18.0
    segmenter = Segmenter(clock=iter([asked, began, done]).__next__)
    model = ServedModel("fake", "1", FakeRuntime(), HOLDS)

    result = asyncio.run(segmenter.segment(model, draw_sample(np.random.default_rng(0), 4, 4, 1.0)))
    segmenter.close()

    assert (result.queue_s, result.infer_s) == (3.0, 5.0)
