from service.core.statistics import (
    BatchRecord,
    EngineStatistics,
    ModelStatistics,
    StatisticsRegistry,
)


def test_what_was_answered_is_counted_and_timed():
    statistics = ModelStatistics()

    for factor in (1, 2):
        timings_s = {"decode": 0.1, "queue": 0.2, "infer": 0.3, "encode": 0.4}
        statistics.count_success(100.0 * factor, 1.0 * factor, timings_s)

    assert (statistics.success.count, statistics.success.total_s) == (2, 3.0)
    assert (statistics.stages["infer"].count, statistics.stages["infer"].total_s) == (2, 0.6)
    assert statistics.last_s == 200.0
    assert statistics.fail.count == 0


def test_every_version_has_statistics_of_its_own():
    book = StatisticsRegistry()
    book.find("a", "1").fail.add(1.5)

    assert book.find("a", "1").fail.total_s == 1.5
    assert book.find("a", "2").fail.count == 0


def test_calls_are_counted_and_timed_by_their_number_of_windows():
    work = EngineStatistics()

    for windows, input_s, infer_s, output_s in [(4, 1, 2, 3), (1, 10, 20, 30), (4, 4, 5, 6)]:
        work.count_call(BatchRecord("a", "1", windows, 64 * windows, input_s, infer_s, output_s))

    assert work.calls == 3
    assert list(work.batches) == [4, 1]
    batch = work.batches[4]
    assert (batch.input.count, batch.infer.count, batch.output.count) == (2, 2, 2)
    assert (batch.input.total_s, batch.infer.total_s, batch.output.total_s) == (5, 7, 9)
