import asyncio
import os
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from lacuna.sample import Sample
from service.bench.load import run_in_loop, run_load
from service.bench.load_profile import LoadProfile, draw_arrivals
from service.bench.prepared_request import prepare_request
from service.bench.report import make_report
from tests.service.bench.stub import RESET, http, run_stub

LABELS = write_npy(np.zeros((4, 6), np.uint8))
OTHER = write_npy(np.eye(4, 6, dtype=np.uint8))
SAMPLE = Sample(np.zeros((4, 6, 1), np.uint8), np.ones((4, 6), np.bool_))
RIGHT = http(200, LABELS, "Lacuna-Computed-Pixels: 36", "Server-Timing: infer;dur=2.5")


def load(reply, samples=(SAMPLE,), **profile):
    """Load a stub; return the report and the run."""
    with run_stub(reply) as server:
        requests = [prepare_request(server, sample, expected=LABELS) for sample in samples]
        run = run_in_loop(lambda: run_load(server, requests, LoadProfile(**profile)))
        return make_report(run, requests), run


def test_right_answers_are_right():
    report, _ = load(lambda *_: RIGHT, requests=20, connections=3)

    assert report.is_clean
    assert (report.answered, report.checked_answers) == (20, 20)
    assert report.images_per_s > 0
    assert report.computed_per_pixel == 1.5
    assert report.stages_ms == {"infer": 2.5}


def test_every_outcome_is_counted_once_by_its_name():
    answers = [
        http(429, b"{}", "Retry-After: 0"),
        http(503, b"{}", "Retry-After: 0"),
        http(500, b"{}"),
        RESET,
        b"HTTP/1.1 200 OK\r\n\r\n",
        http(200, LABELS, "Connection: close"),
    ]
    report, _ = load(
        lambda number, _: answers[number] if number < len(answers) else RIGHT,
        requests=10,
        connections=1,
    )

    assert report.refused == {"429": 1, "503": 1}
    assert report.failed == {"500": 1, "connection lost": 2}
    assert report.answered == 5
    assert not report.is_clean


def test_labels_that_differ_are_found():
    report, _ = load(
        lambda number, _: http(200, OTHER) if number == 2 else RIGHT, requests=5, connections=1
    )

    assert (report.differing_answers, report.differing_labels) == (1, 4)


def test_a_server_that_never_answers_is_given_up_in_time():
    report, run = load(lambda *_: None, requests=3, connections=3, timeout_s=1)

    assert report.failed == {"timeout": 3}
    assert run.ends_s - run.begins_s < 5


def test_after_a_timeout_the_next_request_has_a_connection_of_its_own():
    # Long enough for an answer, whatever else the machine does.
    report, _ = load(
        lambda number, _: RIGHT if number else None, requests=3, connections=1, timeout_s=3
    )

    assert report.failed == {"timeout": 1}
    assert report.answered == 2


@pytest.mark.parametrize("rate_per_s", [None, 200.0])
def test_a_server_that_is_not_there_is_found_out_and_the_run_ends(rate_per_s):
    with run_stub(lambda *_: RIGHT) as server:
        pass  # its port is free again
    request = prepare_request(server, SAMPLE)
    profile = LoadProfile(2, rate_per_s, requests=4, timeout_s=0.5)
    run = run_in_loop(lambda: run_load(server, [request], profile))

    report = make_report(run, [request])
    assert sum(report.failed.values()) == 4
    assert set(report.failed) <= {"unreachable", "timeout"}


def test_a_window_of_time_ends_when_what_began_in_it_is_answered():
    report, run = load(lambda *_: RIGHT, duration_s=1, warmup_s=0.1, connections=4)

    due_s = np.asarray(run.log.due_s)
    inside = (run.begins_s <= due_s) & (due_s < run.ends_s)
    assert run.ends_s - run.begins_s == pytest.approx(1)
    assert report.answered == inside.sum() > 0
    assert report.checked_answers == len(due_s) >= report.answered
    assert report.is_clean


def test_requests_are_asked_in_turn():
    samples = [Sample(np.full((4, 6, 1), shade, np.uint8), SAMPLE.mask) for shade in (1, 2, 3)]
    asked = []

    def reply(_, body):
        asked.append(int(body[body.index(b"\x93NUMPY") + 128]))
        return RIGHT

    load(reply, samples, requests=7, connections=1)

    assert asked == [1, 2, 3, 1, 2, 3, 1]


def test_no_more_connections_than_allowed_ask_at_once():
    lock, running, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def reply(*_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)
        with lock:
            running -= 1
        both.wait(10)
        return RIGHT

    load(reply, requests=10, connections=2)

    assert most == 2


def test_a_large_request_arrives_whole():
    sample = Sample(
        np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), np.uint8),
        np.ones((4000, 4000), np.bool_),
    )
    labels = write_npy(np.zeros((4000, 4000), np.uint8))
    bodies = []

    def reply(_, body):
        bodies.append(body)
        return http(200, labels)

    with run_stub(reply) as server:
        request = prepare_request(server, sample, expected=labels)
        run = run_in_loop(lambda: run_load(server, [request], LoadProfile(2, requests=2)))

    assert make_report(run, [request]).is_clean
    assert [body == request.content.partition(b"\r\n\r\n")[2] for body in bodies] == [True] * 2


def test_open_arrivals_keep_their_times_however_slow_the_server():
    report, run = load(lambda *_: RIGHT, requests=100, connections=1, rate_per_s=1000, seed=3)

    due_s = np.asarray(run.log.due_s)
    wanted = np.array(list(islice(draw_arrivals(1000, 3), 100)))
    assert report.answered == 100
    # Timers go by the millisecond: one may be early by as much, but lateness is never forgiven.
    early_s = wanted - (due_s - run.begins_s)
    assert early_s.min() > -1e-6
    assert early_s.max() < 0.002


def test_refusals_in_an_open_loop_hold_nothing_up():
    report, _ = load(
        lambda *_: http(429, b"", "Retry-After: 1000"), requests=50, connections=1, rate_per_s=1000
    )

    assert report.refused == {"429": 50}
    assert report.is_clean


def test_a_run_that_is_cancelled_leaves_nothing_behind():
    asked = threading.Event()

    def reply(*_):
        asked.set()

    async def cancel(server):
        request = prepare_request(server, SAMPLE)
        task = asyncio.create_task(run_load(server, [request], LoadProfile(requests=1)))
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    with run_stub(reply) as server:
        assert asyncio.run(cancel(server)) == 1


WITHOUT_UVLOOP = """
import sys

from tests.service.bench.test_load import RIGHT, load

report, _ = load(lambda *_: RIGHT, requests=3)
assert "uvloop" not in sys.modules
assert report.is_clean
"""


def test_the_loop_needs_no_uvloop(tmp_path):
    missing = 'raise ModuleNotFoundError("No module named uvloop", name="uvloop")'
    (tmp_path / "uvloop.py").write_text(missing)
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])

    subprocess.run(
        [sys.executable, "-c", WITHOUT_UVLOOP], env=os.environ | {"PYTHONPATH": paths}, check=True
    )


def test_a_name_is_as_good_as_an_server():
    with run_stub(lambda *_: RIGHT) as server:
        there = server.copy_with(host="localhost")
        request = prepare_request(there, SAMPLE, expected=LABELS)
        run = run_in_loop(lambda: run_load(there, [request], LoadProfile(requests=2)))

    assert make_report(run, [request]).is_clean
