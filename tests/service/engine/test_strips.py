"""Images with gaps, computed on strips: the same answers, at no higher price."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.sample import Sample
from lacuna.windows.strips import count_strip_pixels
from lacuna.windows.tiling import find_valid_box, plan_windows
from lacuna.windows.window import Tile, Window
from service.core.cost import BatchCost
from service.engine.segmenter import EnginePolicy
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from tests.service.engine.test_kept_windows import GriddedRuntime
from tests.service.engine.test_segmenter import BROKEN, segment, serve_model
from tests.support import regions
from tests.support.gridded import draw_mask
from tests.support.strategies import make_scene

CHEAP = BatchCost(call_s=1e-3, pixel_s=1e-6, strips_s=(1e-3, 1.2e-6))


class Asked(FakeRuntime):
    """Runtime that notes its calls: shape, and whether they are on strips."""

    def __init__(self, can_skip=True):
        update = {"total_stride": 8, "receptive_radius": 51}
        super().__init__(FAKE_MANIFEST.model_copy(update=update), can_skip=can_skip)
        self.calls = []

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        self.calls.append((images.shape[:3], on_strips))
        return super().run(images, masks, probabilities=probabilities, keep=keep)


def make_sample(mask):
    values = np.random.default_rng(0).integers(0, 256, (*mask.shape, 1), np.uint8)
    return Sample(values, mask)


def test_an_image_with_gaps_is_one_call_on_strips_of_its_box():
    mask = np.zeros((320, 320), bool)
    mask[16:300, 30:250] = regions.diagonal_swath(284, 0.3)[:, :220]
    runtime = Asked()

    (result,) = segment(serve_model(runtime, cost=CHEAP), make_sample(mask))

    ((shape, on_strips),) = runtime.calls
    assert on_strips
    assert shape == (1, 288, 256)
    assert result.computed_pixels == count_strip_pixels(mask[16:300, 24:], 8)
    expected = FakeRuntime().run(
        make_sample(mask).image[None].astype(np.float32), mask[None], probabilities=False
    )
    np.testing.assert_array_equal(result.segmentation.labels, expected.labels[0])


@pytest.mark.parametrize("can_skip", [True, False])
def test_a_model_that_computes_no_strips_or_breaks_the_contract_is_never_told_to(can_skip):
    runtime = Asked(can_skip)
    contract = {"contract": BROKEN} if can_skip else {}
    sample = make_sample(regions.diagonal_swath(320, 0.2))

    segment(serve_model(runtime, cost=CHEAP, **contract), sample)

    assert not any(on_strips for _, on_strips in runtime.calls)


def test_a_full_image_is_not_computed_on_strips():
    runtime = Asked()

    segment(serve_model(runtime, cost=CHEAP), make_sample(np.ones((320, 320), bool)))

    assert not any(on_strips for _, on_strips in runtime.calls)


def test_a_large_image_with_gaps_is_several_calls_on_strips():
    runtime = Asked()
    policy = EnginePolicy(window_pixels=400 * 400)

    segment(
        serve_model(runtime, cost=CHEAP),
        make_sample(regions.diagonal_swath(800, 0.1)),
        policy=policy,
    )

    assert len(runtime.calls) > 1
    assert all(on_strips for _, on_strips in runtime.calls)


def test_idle_workers_share_an_image_on_strips():
    runtime = Asked()
    sample = make_sample(regions.diagonal_swath(512, 0.3))

    (alone,) = segment(serve_model(runtime, cost=CHEAP), sample)
    (shared,) = segment(serve_model(runtime, cost=CHEAP), sample, policy=EnginePolicy(workers=2))

    assert [on_strips for _, on_strips in runtime.calls] == [True] * 3
    np.testing.assert_array_equal(shared.segmentation.labels, alone.segmentation.labels)


class OnStrips(GriddedRuntime):
    """Runtime of a model that depends on its whole halo, and computes strips."""

    def __init__(self, stride, reach):
        super().__init__(stride, reach)
        self._can_skip = True

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        assert keep is None or not on_strips
        return super().run(images, masks, probabilities=probabilities, keep=keep)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from((0.0, 1e-4)),
    st.sampled_from((0.1, 0.9, 1.5)),
    st.sampled_from((1, 4, 8)),
    st.integers(0, 2),
    st.data(),
)
def test_no_answer_depends_on_strips(call_s, strip_pixel, stride, reach, data):
    runtime = OnStrips(stride, reach)
    cost = BatchCost(call_s, 1e-6, 3e-7, strips_s=(call_s, strip_pixel * 1e-6))
    side = st.integers(1, 130)
    size = data.draw(side), data.draw(side)
    valid = data.draw(st.sampled_from((0.1, 0.5, 1.0)))
    mask = draw_mask(size, data.draw(st.integers(0, 999)), data.draw(st.integers(5, 45)), valid)
    policy = EnginePolicy(
        workers=data.draw(st.integers(1, 3)),
        window_pixels=data.draw(st.sampled_from((400, 3000, 10**6))),
    )

    (result,) = segment(serve_model(runtime, cost=cost), make_sample(mask), policy=policy)

    expected = runtime.model.answer(make_sample(mask))
    np.testing.assert_array_equal(result.segmentation.labels, expected.labels)


def test_workers_that_share_an_image_see_the_halo_of_whole_cells():
    runtime = OnStrips(4, 2)
    cost = BatchCost(0.0, 1e-6, 3e-7, strips_s=(0.0, 1e-7))
    # With three workers, a part ends inside a cell: with the pixel before the gap.
    mask = np.zeros((1, 45), bool)
    mask[:, 12:18] = mask[:, 24:36] = mask[:, 42:] = True

    (result,) = segment(
        serve_model(runtime, cost=cost), make_sample(mask), policy=EnginePolicy(workers=3)
    )

    assert len(runtime.kept) == 3
    expected = runtime.model.answer(make_sample(mask))
    np.testing.assert_array_equal(result.segmentation.labels, expected.labels)


def test_a_window_of_an_image_is_not_computed_on_strips():
    runtime = Asked()
    sample = make_sample(regions.diagonal_swath(320, 0.2))

    segment(serve_model(runtime, cost=CHEAP), sample, keep=Window(0, 0, 300, 300))

    assert not any(on_strips for _, on_strips in runtime.calls)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(0, 999),
    st.sampled_from((5, 30, 80)),
    st.sampled_from((0.05, 0.4, 0.9, 1.0)),
    st.sampled_from((0.0, 1e-4, 1e-2)),
    st.floats(0.1, 3),
)
def test_no_plan_costs_more_than_the_whole_or_than_windows(
    size, seed, scale, valid, call_s, strip_pixel
):
    mask = draw_mask(size, seed, scale, valid)
    cost = BatchCost(call_s, 1e-6, strips_s=(2 * call_s, strip_pixel * 1e-6))
    runtime = Asked()
    model = serve_model(runtime, cost=cost)
    box = find_valid_box(mask, 8)
    if box is None:
        return

    segment(model, make_sample(mask))

    whole_s = model.price_tile(Tile(box, box))
    windows_s = sum(
        map(model.price_tile, plan_windows(mask, model.make_tiling(10**6), model.price_tile))
    )
    strips_s = cost.predict_strips(count_strip_pixels(mask[box.slices], 8))
    took_s = sum(
        strips_s if on_strips else cost.predict(n * height * width)
        for (n, height, width), on_strips in runtime.calls
    )
    assert took_s <= min(whole_s, windows_s, strips_s) * (1 + 1e-9)


def test_an_exported_network_answers_on_strips_as_it_answers_the_whole(exported):
    mask = regions.diagonal_swath(400, 0.3) & make_scene(400, 400, 0.98, 1).mask
    sample = Sample(make_scene(400, 400, 1.0, 2).image, mask)
    image = np.where(mask[..., None], sample.image, 0)[None]
    expected = exported.run(image, mask[None], probabilities=True)
    asked = []

    class Noted:
        manifest, can_keep, can_skip = exported.manifest, True, True

        def run(self, images, masks, *, probabilities, on_strips=False, keep=None):
            asked.append(on_strips)
            return exported.run(
                images, masks, probabilities=probabilities, on_strips=on_strips, keep=keep
            )

    cost = BatchCost(1e-4, 1e-6, halo_s=5e-7, strips_s=(1e-4, 1.1e-6))
    (result,) = segment(serve_model(Noted(), cost=cost), sample, probabilities=True)

    assert asked == [True]
    np.testing.assert_array_equal(result.segmentation.labels, expected.labels[0])
    np.testing.assert_array_equal(
        result.segmentation.probabilities * mask[..., None], expected.probabilities[0]
    )
