from concurrent.futures import ThreadPoolExecutor

from service.core.statistics import BatchRecord, EngineStatistics
from service.engine.counters import EngineCounters

RECORD = BatchRecord("a", "1", 4, 256, 0.5, 1.0, 0.25)


def test_nothing_is_lost_when_many_threads_count_at_once():
    counters = EngineCounters()

    def count(thread):
        for _ in range(2000):
            counters.count_call(RECORD._replace(windows=1 + thread % 2))
            counters.count_image("a", "1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))

    work = counters.read("a", "1")
    assert (work.images, work.calls) == (16_000, 16_000)
    assert {windows: batch.infer.total_s for windows, batch in work.batches.items()} == {
        1: 8000.0,
        2: 8000.0,
    }


def test_each_version_is_counted_for_itself():
    counters = EngineCounters()
    counters.count_call(RECORD)
    counters.count_image("b", "1")

    assert (counters.read("a", "1").calls, counters.read("a", "1").images) == (1, 0)
    assert (counters.read("b", "1").calls, counters.read("b", "1").images) == (0, 1)
    assert counters.read("a", "2") == EngineStatistics()


def test_what_was_read_does_not_change_any_more():
    counters = EngineCounters()
    counters.count_call(RECORD)
    before = counters.read("a", "1")
    counters.count_call(RECORD)

    assert before.batches[4].infer.count == 1
    assert counters.read("a", "1").batches[4].infer.count == 2


def test_busy_time_is_that_of_all_steps_of_all_calls_of_all_models():
    counters = EngineCounters()
    counters.count_call(RECORD)
    counters.count_call(RECORD._replace(model="b", windows=1))

    assert counters.sum_busy_s() == 2 * (0.5 + 1.0 + 0.25)
