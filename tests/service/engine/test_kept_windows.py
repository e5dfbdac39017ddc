"""Windows of which a part is kept: the same answers, from less work."""

import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.sample import Sample
from lacuna.windows.tiling import plan_windows
from lacuna.windows.window import Tile, Window
from service.core.batching import BatchPolicy
from service.core.cost import BatchCost
from service.core.placement import Canvas
from service.engine.segmenter import EnginePolicy
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.protocol import BatchOutput
from tests.service.engine.test_segmenter import (
    BROKEN,
    hold_worker,
    run_segmenter,
    segment,
    serve_model,
)
from tests.support import regions
from tests.support.gridded import GriddedModel, draw_mask
from tests.support.strategies import make_scene
from tests.support.waiting import let_others_run

CHEAP_HALO = BatchCost(call_s=0.0, pixel_s=1e-6, halo_s=2e-7)


class GriddedRuntime(FakeRuntime):
    """Runtime of a model that depends on its whole halo, and on the grid.

    Attributes:
        kept: the canvas and the window to keep of each call.
    """

    def __init__(self, stride, reach, can_keep=True):
        update = {
            "total_stride": stride,
            "receptive_radius": stride * reach,
            "classes": FAKE_MANIFEST.classes[:2],
        }
        super().__init__(FAKE_MANIFEST.model_copy(update=update), can_keep)
        self.model, self.kept = GriddedModel(stride, reach), []

    def run(self, images, masks, *, probabilities, keep=None):
        self.kept.append((images.shape[:3], keep))
        samples = [Sample(*pair) for pair in zip(images, masks, strict=True)]
        answers = [self.model.answer(sample) for sample in samples]
        inner = (slice(None), *(keep.slices if keep else ()))
        labels = np.stack([answer.labels for answer in answers])[inner]
        scores = np.stack([answer.probabilities for answer in answers])[inner]
        return BatchOutput(labels, scores if probabilities else None)


costs = st.builds(
    BatchCost,
    st.sampled_from((0.0, 1e-5, 1e-3)),
    st.just(1e-6),
    st.sampled_from((None, 1e-8, 2e-7, 1e-6)),
)


@settings(deadline=None, max_examples=80)
@given(costs, st.sampled_from((1, 3, 4, 8)), st.integers(0, 2), st.data())
def test_no_answer_depends_on_what_windows_keep_or_on_their_mates(cost, stride, reach, data):
    runtime = GriddedRuntime(stride, reach)
    model = serve_model(runtime, cost=cost)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    side, scale = st.integers(1, 110), st.sampled_from((5, 20, 45))
    samples = []
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(side), data.draw(side)
        valid = data.draw(st.sampled_from((0.0, 0.3, 0.6, 1.0)))
        mask = draw_mask(size, data.draw(st.integers(0, 999)), data.draw(scale), valid)
        samples.append(Sample(rng.integers(0, 256, (*size, 1), np.uint8), mask))
    policy = EnginePolicy(
        workers=data.draw(st.integers(1, 3)),
        window_pixels=data.draw(st.sampled_from((400, 3000, 10**6))),
        batch=BatchPolicy(max_pixels=data.draw(st.sampled_from((1, 5000, 65_536)))),
    )

    results = segment(model, *samples, policy=policy, probabilities=True)

    for sample, result in zip(samples, results, strict=True):
        expected = runtime.model.answer(sample)
        np.testing.assert_array_equal(result.segmentation.labels, expected.labels)
        np.testing.assert_array_equal(
            result.segmentation.probabilities * sample.mask[..., None], expected.probabilities
        )


@settings(deadline=None, max_examples=40)
@given(costs, st.data())
def test_a_window_of_an_image_is_answered_as_in_the_whole(cost, data):
    runtime = GriddedRuntime(4, 2)
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    mask = draw_mask((height, width), data.draw(st.integers(0, 999)), 20, 0.6)
    sample = Sample(np.arange(mask.size, dtype=np.uint16).reshape(*mask.shape, 1) % 251, mask)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    keep = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )

    (result,) = segment(serve_model(runtime, cost=cost), sample, keep=keep)

    expected = np.full(mask.shape, 255, np.uint8)
    expected[keep.slices] = runtime.model.answer(sample).labels[keep.slices]
    np.testing.assert_array_equal(result.segmentation.labels, expected)


def test_a_part_of_an_image_is_kept_and_its_halo_only_seen():
    runtime = GriddedRuntime(8, 2)
    sample = Sample(np.ones((128, 128, 1), np.uint8), np.ones((128, 128), bool))

    (result,) = segment(serve_model(runtime, cost=CHEAP_HALO), sample, keep=Window(32, 40, 64, 48))

    assert runtime.kept == [((1, 96, 80), Window(16, 16, 64, 48))]
    assert result.computed_pixels == 96 * 80


@pytest.mark.parametrize("can_keep", [True, False])
def test_a_model_that_cannot_keep_a_window_or_breaks_the_contract_is_never_told_to(can_keep):
    runtime = GriddedRuntime(8, 2, can_keep=can_keep)
    contract = {"contract": BROKEN} if can_keep else {}
    sample = Sample(np.ones((128, 128, 1), np.uint8), regions.slanted_half(128, 0.4))

    segment(serve_model(runtime, cost=CHEAP_HALO, **contract), sample, keep=Window(32, 40, 64, 48))

    assert {keep for _, keep in runtime.kept} == {None}


def test_an_image_that_is_one_window_is_computed_whole():
    runtime = GriddedRuntime(8, 2)
    samples = [
        Sample(np.ones((side, 64, 1), np.uint8), np.ones((side, 64), bool)) for side in (64, 37)
    ]

    for sample in samples:
        segment(serve_model(runtime, cost=CHEAP_HALO), sample)

    assert runtime.kept == [((1, 64, 64), None), ((1, 40, 64), None)]


def test_what_keeps_nearly_all_that_it_sees_is_computed_whole_if_that_is_cheaper():
    cost = BatchCost(call_s=0.0, pixel_s=1e-6, halo_s=5e-7)
    model = serve_model(GriddedRuntime(8, 2), cost=cost)

    def choose(seen, output):
        return model.place(Tile(Window(*seen), Window(*output))).canvas

    assert choose((0, 0, 80, 80), (8, 8, 64, 64)) == Canvas((80, 80))
    assert choose((0, 0, 96, 96), (16, 16, 64, 64)) == Canvas((96, 96), Window(16, 16, 64, 64))


class GatedAndGridded(GriddedRuntime):
    """Runtime that begins to run, and ends only once it is let."""

    def __init__(self):
        super().__init__(8, 2)
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, images, masks, *, probabilities, keep=None):
        self.begun.set()
        assert self.go.wait(30)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


def test_windows_that_keep_the_same_of_equal_canvases_share_a_call_wherever_they_lie():
    model = serve_model(GatedAndGridded(), cost=CHEAP_HALO)
    sample = Sample(np.ones((200, 200, 1), np.uint8), np.ones((200, 200), bool))
    places = [Window(64, 64, 32, 32), Window(32, 96, 32, 32), Window(64, 72, 64, 32)]

    async def scenario():
        async with run_segmenter() as segmenter:
            first = await hold_worker(segmenter, model)
            tasks = [
                asyncio.create_task(segmenter.segment(model, sample, keep=keep)) for keep in places
            ]
            await let_others_run()
            model.runtime.go.set()
            await asyncio.gather(first, *tasks)

    asyncio.run(scenario())

    assert model.runtime.kept[1:] == [
        ((2, 64, 64), Window(16, 16, 32, 32)),
        ((1, 96, 64), Window(16, 16, 64, 32)),
    ]


@pytest.mark.parametrize(
    ("region", "side"), [(regions.slanted_half, 400), (regions.diagonal_swath, 400)]
)
def test_an_exported_network_answers_sparse_images_as_it_answers_them_whole(exported, region, side):
    mask = region(side, 0.3) & make_scene(side, side, 0.98, 1).mask
    sample = Sample(make_scene(side, side, 1.0, 2).image, mask)
    image = np.where(mask[..., None], sample.image, 0)[None]
    expected = exported.run(image, mask[None], probabilities=True)
    asked = []

    class Asked:
        manifest, can_keep, can_skip = exported.manifest, True, False

        def run(self, images, masks, *, probabilities, keep=None):
            asked.append(keep)
            return exported.run(images, masks, probabilities=probabilities, keep=keep)

    cost = BatchCost(call_s=1e-4, pixel_s=1e-6, halo_s=1e-7)
    (result,) = segment(serve_model(Asked(), cost=cost), sample, probabilities=True)

    assert sum(keep is not None for keep in asked) >= 2
    np.testing.assert_array_equal(result.segmentation.labels, expected.labels[0])
    np.testing.assert_array_equal(
        result.segmentation.probabilities * mask[..., None], expected.probabilities[0]
    )


def test_an_image_of_several_windows_takes_smaller_ones_if_halos_are_cheap():
    def find_largest(can_keep):
        runtime = FakeRuntime(
            FAKE_MANIFEST.model_copy(update={"total_stride": 8, "receptive_radius": 51}), can_keep
        )
        model = serve_model(runtime, cost=BatchCost(3e-4, 5e-7, 2e-7 if can_keep else None))
        tiling = model.make_tiling(EnginePolicy().window_pixels)
        tiles = plan_windows(np.ones((2048, 2048), bool), tiling, model.price_tile)
        return max(tile.input.height * tile.input.width for tile in tiles)

    assert find_largest(can_keep=True) <= 624**2
    assert 624**2 < find_largest(can_keep=False) <= 720_000


@given(st.booleans(), st.sampled_from((1e-8, 3e-7, 1e-6)), st.data())
def test_a_tile_has_the_price_of_its_canvas(can_keep, halo_s, data):
    runtime = GriddedRuntime(8, 3, can_keep)
    model = serve_model(runtime, cost=BatchCost(1e-4, 1e-6, halo_s if can_keep else None))
    sides = []
    for _ in range(2):
        seen, size = 8 * data.draw(st.integers(0, 9)), data.draw(st.integers(1, 400))
        before = data.draw(st.integers(0, size - 1))
        sides.append((seen, size, seen + before, data.draw(st.integers(1, size - before))))
    seen, sizes, outputs, extents = zip(*sides, strict=True)
    tile = Tile(Window(*seen, *sizes), Window(*outputs, *extents))

    assert model.price_tile(tile) == model.price(model.place(tile).canvas)
