import asyncio

from service.engine.segmenter import Segmenter
from service.engine.watchdog import Watchdog
from tests.service.engine.test_segmenter import hold_worker, serve_model
from tests.support.runtimes import Gated


def test_a_call_beyond_the_limit_hangs_until_it_returns():
    model = serve_model(Gated())
    now = [0.0]

    async def scenario():
        segmenter = Segmenter(clock=lambda: now[0])
        watchdog = Watchdog(segmenter.dispatcher, limit_s=5)
        found = [watchdog.find_hang_s()]
        task = await hold_worker(segmenter, model)
        for now[0] in (5.0, 7.5):
            found.append(watchdog.find_hang_s())
        model.runtime.go.set()
        await task
        await asyncio.to_thread(segmenter.close)
        return [*found, watchdog.find_hang_s()]

    assert asyncio.run(scenario()) == [None, None, 7.5, None]
