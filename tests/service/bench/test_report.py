import json

import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.bench.connection import RawResponse
from service.bench.load import Run
from service.bench.prepared_request import PreparedRequest
from service.bench.report import make_report, measure_share, summarize_latencies
from service.bench.results import ResultLog
from service.bench.schedule import ScheduledRequest

NPY = write_npy(np.zeros((2, 2), np.uint8))
REQUESTS = [
    PreparedRequest(b"a" * 10, 100, 50, b"right"),
    PreparedRequest(b"b" * 30, 300, 0, b"right"),
]


def answer(log, due_s, ended_s, *, number=0, is_measured=True, status=200, head=b"", body=b"right"):
    scheduled = ScheduledRequest(due_s, number, is_measured)
    log.record_response(scheduled, ended_s, RawResponse(status, head, body))


def report(log, begins_s=0.0, ends_s=10.0, cpu_s=0.0, exchanges=1):
    return make_report(Run(log, begins_s, ends_s, cpu_s, exchanges), REQUESTS)


@pytest.fixture
def log():
    return ResultLog(REQUESTS)


def test_percentiles_are_those_of_numpy():
    latencies = np.random.default_rng(0).exponential(1, 997)
    found = summarize_latencies(latencies)

    ordered = np.sort(latencies)
    assert found.max == ordered[-1]
    for share, value in ((50, found.p50), (95, found.p95), (99, found.p99)):
        assert value == pytest.approx(np.interp(share / 100 * 996, np.arange(997), ordered))


def test_without_an_answer_there_is_no_latency(log):
    found = report(log)

    assert found.latency_s.max == 0
    assert found.images_per_s == 0
    assert found.computed_per_pixel is None


def test_work_across_the_ends_of_the_window_counts_in_part():
    began = np.array([-2.0, 1.0, 8.0, 11.0, -5.0, -5.0])
    ended = np.array([2.0, 3.0, 18.0, 12.0, 15.0, -1.0])

    share = measure_share(began, ended, 0.0, 10.0)

    assert share == pytest.approx([0.5, 1, 0.2, 0, 0.5, 0])


def test_throughput_is_in_images_and_pixels_a_second(log):
    answer(log, 0.0, 5.0)
    answer(log, 5.0, 15.0, number=1)

    found = report(log)

    assert found.images_per_s == pytest.approx(0.15)
    assert found.megapixels_per_s == pytest.approx((100 + 150) / 10 / 1e6)
    assert found.valid_megapixels_per_s == pytest.approx(50 / 10 / 1e6)


def test_only_what_was_due_in_the_window_has_a_latency(log):
    answer(log, -1.0, 9.0, is_measured=False)
    answer(log, 1.0, 2.5)

    found = report(log)

    assert found.answered == 1
    assert found.latency_s.max == pytest.approx(1.5)


def test_outcomes_are_counted_in_the_window_alone(log):
    for is_measured in (True, False):
        for status in (429, 503, 503, 500):
            answer(log, 1.0, 2.0, is_measured=is_measured, status=status)
        log.record_failure(ScheduledRequest(1.0, 0, is_measured), "timeout")

    found = report(log)

    assert found.refused == {"429": 1, "503": 2}
    assert found.failed == {"500": 1, "timeout": 1}
    assert not found.is_clean


def test_answers_that_differ_are_found_in_the_warm_up_too():
    requests = [PreparedRequest(b"", 4, 4, NPY)]
    log = ResultLog(requests)
    answer(log, 1.0, 2.0, is_measured=False, body=NPY[:-1] + b"\7")
    answer(log, 1.0, 2.0, body=NPY)

    found = make_report(Run(log, 0, 10, 0, 1), requests)

    assert (found.checked_answers, found.differing_answers, found.differing_labels) == (2, 1, 1)
    assert not found.is_clean


def test_padding_is_what_the_server_says_it_computed(log):
    answer(log, 1.0, 2.0, head=b"\r\nlacuna-computed-pixels: 150\r\nx: y")
    answer(log, 1.0, 2.0, head=b"\r\nx: y")

    found = report(log)

    assert found.computed_per_pixel == pytest.approx(1.5)
    assert found.computed_per_valid_pixel == pytest.approx(3.0)


def test_images_without_a_valid_pixel_have_no_padding_to_speak_of(log):
    answer(log, 1.0, 2.0, number=1, head=b"\r\nlacuna-computed-pixels: 0")

    assert report(log).computed_per_pixel == 0
    assert report(log).computed_per_valid_pixel is None


def test_stages_are_medians_of_a_sample(log):
    for number in range(33):
        answer(log, 1.0, 2.0, head=b"\r\nserver-timing: queue;dur=%d.5, infer;dur=2" % number)

    assert report(log).stages_ms == {"queue": 16.5, "infer": 2.0}


def test_bytes_and_the_generators_own_cost_are_told(log):
    answer(log, 1.0, 2.0, number=1)
    found = report(log, cpu_s=0.001, exchanges=50)

    assert (found.sent_bytes, found.received_bytes) == (30, 5)
    assert found.generator_us == pytest.approx(20)


def test_all_of_it_is_json(log):
    answer(log, 1.0, 2.0)
    log.record_failure(ScheduledRequest(1.0, 0, is_measured=True), "timeout")

    content = json.loads(json.dumps(report(log).to_json()))

    assert content["failed"] == {"timeout": 1}
    assert content["latency_s"]["p50"] == 1.0
