import asyncio

import numpy as np
import pytest

from lacuna.sample import Sample
from service.pipeline import Pipeline, SegmentOptions
from tests.service.engine.test_segmenter import (
    fill_sample,
    hold_worker,
    run_segmenter,
    serve_model,
)
from tests.support.runtimes import Gated
from tests.support.waiting import let_others_run

FULL = fill_sample(4, 4)
EMPTY = Sample(FULL.image, np.zeros((4, 4), bool))


@pytest.mark.parametrize(
    ("samples", "timings_s"),
    [
        ([FULL, FULL], (3.0, 0.0)),
        ([FULL, EMPTY], (3.0, 0.0)),
        ([EMPTY, EMPTY], (0.0, 0.0)),
    ],
)
def test_an_image_without_a_valid_pixel_does_not_hide_that_the_others_were_queued(
    samples, timings_s
):
    model = serve_model(Gated())
    now = [10.0]

    async def scenario():
        async with run_segmenter(clock=lambda: now[0]) as segmenter:
            first = await hold_worker(segmenter, model)
            segmenting = asyncio.create_task(
                Pipeline(segmenter).segment(model, samples, SegmentOptions())
            )
            await let_others_run()
            await let_others_run()
            now[0] = 13.0
            model.runtime.go.set()
            await first
            return await segmenting

    segmented = asyncio.run(scenario())

    assert (segmented.queue_s, segmented.infer_s) == timings_s
