"""Images of models that break the promise: cut into overlapping tiles, if that is measured."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from lacuna.sample import Sample
from lacuna.scenes.grid_windows import plan_tiles
from lacuna.windows.window import Window, crop
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.served import ServedModel
from service.local.windows import describe_model
from service.runtime.contract.checking import check_contract
from service.runtime.fake import FAKE_MANIFEST
from service.runtime.manifest import UNLIMITED_RADIUS
from tests.support.plain import Plain, PlainTile, Sociable


def serve_model(runtime):
    model = ServedModel("plain", "1", runtime, check_contract(runtime))
    runtime.shapes.clear()
    return model


def draw_sample(height, width):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 1)).astype(np.uint8)
    image = image.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return Sample(image, rng.random((height, width)) < 0.8)


def segment(model, samples, window_pixels=24 * 24, **options):
    async def run():
        segmenter = Segmenter(EnginePolicy(window_pixels=window_pixels))
        try:
            calls = (
                segmenter.segment(model, sample, probabilities=True, **options)
                for sample in samples
            )
            return [done.segmentation for done in await asyncio.gather(*calls)]
        finally:
            segmenter.close()

    return asyncio.run(run())


def label_whole(runtime, sample):
    image = np.where(sample.mask[..., None], sample.image, 0).astype(np.float32)
    return runtime.run(image[None], sample.mask[None], probabilities=False).labels[0]


def test_seams_change_nothing_where_the_overlap_covers_the_radius():
    report = check_contract(Plain())

    assert report.failed == ("canvas",)
    assert (report.seams.differing, report.seams.shift, report.seams.overlap) == (0, 0.0, 8)


@pytest.mark.parametrize("size", [(25, 24), (97, 30), (61, 83)])
def test_a_large_image_is_cut_and_its_labels_are_those_of_the_whole(size):
    runtime, sample = Plain(), draw_sample(*size)
    (found,) = segment(serve_model(runtime), [sample])

    assert max(height * width for _, height, width in runtime.shapes) <= 24 * 24
    np.testing.assert_array_equal(found.labels, label_whole(Plain(), sample))


def test_an_image_that_fits_one_call_is_not_cut():
    runtime = Plain()
    segment(serve_model(runtime), [draw_sample(24, 24)])

    assert runtime.shapes == [(1, 24, 24)]


def test_a_window_of_a_large_image_costs_the_tiles_that_keep_some_of_it():
    runtime, sample, keep = Plain(), draw_sample(97, 30), Window(50, 3, 6, 5)
    (found,) = segment(serve_model(runtime), [sample], keep=keep)

    assert len(runtime.shapes) == 1
    expected = label_whole(Plain(), sample)[keep.slices]
    np.testing.assert_array_equal(found.labels[keep.slices], expected)


def test_a_tile_without_a_valid_pixel_is_not_run():
    runtime, sample = Plain(), draw_sample(97, 24)
    empty = Sample(sample.image, np.zeros_like(sample.mask))
    upper = Sample(sample.image, sample.mask & (np.arange(97) < 10)[:, None])
    segment(serve_model(runtime), [empty, upper])

    assert [shape[0] for shape in runtime.shapes] == [1]


def test_images_of_all_sizes_share_the_batches_of_a_model_of_one_size():
    runtime = PlainTile()
    model = serve_model(runtime)
    samples = [draw_sample(20, 9), draw_sample(32, 32), draw_sample(72, 40)]
    found = segment(model, samples)

    assert {shape[1:] for shape in runtime.shapes} == {(32, 32)}
    for sample, segmentation in zip(samples[:2], found, strict=False):
        np.testing.assert_array_equal(segmentation.labels, label_whole(PlainTile(), sample))
    # The overlap of 8 covers the radius of 2 on both sides.
    np.testing.assert_array_equal(found[2].labels, label_whole(Plain(), samples[2]))


def test_a_model_of_one_size_says_so_and_its_seams_are_measured():
    report = check_contract(PlainTile())

    assert report.failed == ("size",)
    assert report.seams.overlap == 8
    assert 0 <= report.seams.differing < report.seams.pixels
    assert "in tiles of 32 × 32 pixels that overlap by 8" in serve_model(PlainTile()).serving


def test_a_model_whose_answers_depend_on_batch_mates_gets_each_image_alone():
    runtime = Sociable()
    model = serve_model(runtime)
    segment(model, [draw_sample(12, 12)] * 3)

    assert runtime.shapes == [(1, 12, 12)] * 3
    assert model.serving.startswith("Served one image at a time, unpadded")


def test_a_model_that_reaches_the_whole_image_is_never_cut():
    everywhere = FAKE_MANIFEST.model_copy(update={"receptive_radius": UNLIMITED_RADIUS})
    runtime = Plain(everywhere)
    model = serve_model(runtime)
    segment(model, [draw_sample(97, 30)])

    assert runtime.shapes == [(1, 97, 30)]
    assert model.serving == "Served in batches of one size, unpadded and untiled."


def test_a_model_with_a_wrong_radius_is_never_cut():
    runtime = Plain(FAKE_MANIFEST.model_copy(update={"receptive_radius": 1}))
    model = serve_model(runtime)

    assert model.contract.seams is None
    assert model.choose_cut(100) is None


def test_tiles_that_would_be_all_halo_are_not_cut():
    assert replace(serve_model(Plain())).choose_cut(8 * 8) is None


@pytest.mark.parametrize(
    ("runtime", "is_exact"), [(Plain(), True), (PlainTile(), False), (Sociable(), False)]
)
def test_scenes_are_cut_where_windows_give_what_the_whole_gives(runtime, is_exact):
    assert describe_model(serve_model(runtime), 100).is_exact is is_exact


def test_windows_of_a_scene_on_the_grid_give_the_labels_of_the_whole():
    sample, model = draw_sample(97, 83), serve_model(Plain())
    whole, found = label_whole(Plain(), sample), np.zeros((97, 83), np.uint8)
    for seen, output in plan_tiles(97, 83, 32, model.halo, (0, 83)):
        part, keep = crop(sample, seen), output.move(-seen.top, -seen.left)
        (answer,) = segment(model, [part], 48 * 48, keep=keep)
        found[output.slices] = answer.labels[keep.slices]

    np.testing.assert_array_equal(found, whole)
