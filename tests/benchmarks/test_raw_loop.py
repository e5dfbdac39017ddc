import numpy as np
import pytest

from benchmarks.processes import start_raw_loop
from lacuna.raster.npy import read_npy
from service.bench.workload import Workload, draw_samples, parse_sizes

WORKLOAD = Workload(3, (parse_sizes("8-20"),), (0.5,))


@pytest.fixture(scope="module")
def loop(exported_folder):
    with start_raw_loop(exported_folder, 1) as loop:
        loop.draw("small", WORKLOAD)
        yield loop


def test_answers_are_the_models_own_for_each_image_alone(loop, exported):
    for answer, sample in zip(loop.answer("small"), draw_samples(WORKLOAD), strict=True):
        images = sample.image[None].astype(np.float32)
        wanted = exported.run(images, sample.mask[None], probabilities=False).labels[0]
        assert np.array_equal(read_npy(answer), wanted)


def test_throughput_is_measured_with_several_workers(loop):
    told = loop.measure("small", workers=2, batch=1, seconds=0.2, warmup_s=0.0)

    pixels = [sample.mask.size for sample in draw_samples(WORKLOAD)]
    assert told["images_per_s"] > 0
    per_image = told["megapixels_per_s"] * 1e6 / told["images_per_s"]
    assert min(pixels) <= per_image <= max(pixels)
    assert 0 < told["call_p50_s"] <= told["call_p99_s"]


def test_one_call_is_timed(loop):
    assert loop.time_square(16, 3, calls=2) > 0


def test_what_ends_unexpectedly_is_said(exported_folder):
    with (
        start_raw_loop(exported_folder, 1) as loop,
        pytest.raises(RuntimeError, match="the raw loop must answer"),
    ):
        loop.answer("never drawn")
