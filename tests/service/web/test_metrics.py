import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lacuna.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidMaskError,
    NotReadyError,
    OutOfMemoryError,
    OverloadedError,
)
from service.core.placement import Canvas
from service.engine.lifecycle.repository import ModelRepository
from service.engine.lifecycle.warmup import WarmupPolicy
from service.runtime.fake import FakeRuntime
from service.telemetry import OUTCOMES, find_outcome
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve
from tests.support.runtimes import SEVEN, FailingOnSevens, Gated

IMAGE = encode_image(np.full((10, 12), 200, np.uint8))
SEVENS = encode_image(np.full((10, 12), SEVEN, np.uint8))
MASK = encode_image(np.repeat([255, 0], 6).astype(np.uint8)[None].repeat(10, axis=0))


def scrape(client):
    """Give all samples as {(name, label values, sorted by their names…): value}."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


@pytest.fixture
def client(tmp_path):
    with serve(load_repository(make_repository_folder(tmp_path), lambda _: FakeRuntime())) as it:
        yield it


def test_an_answered_request_is_counted_with_its_pixels_and_stages(client):
    assert client.post("/v1/segment", files={"image": IMAGE, "mask": MASK}).status_code == 200

    samples = scrape(client)

    assert samples["lacuna_requests_total", "fake", "ok", "native"] == 1
    assert samples["lacuna_request_seconds_count", "fake", "native"] == 1
    assert samples["lacuna_pixels_total", "image"] == 120
    assert samples["lacuna_pixels_total", "valid"] == 60
    assert samples["lacuna_pixels_total", "computed"] == 12 * 8
    for stage in ("decode", "queue", "infer", "encode"):
        assert samples["lacuna_stage_seconds_count", stage] == 1
    assert samples["lacuna_batch_windows_sum",] == 1
    assert samples["lacuna_batch_pixels_sum",] == 12 * 8


def test_a_refused_image_counts_as_invalid_and_its_pixels_do_not(client):
    assert client.post("/v1/segment", content=b"no image").status_code == 422

    samples = scrape(client)

    assert samples["lacuna_requests_total", "fake", "invalid", "native"] == 1
    assert samples["lacuna_pixels_total", "image"] == 0


def test_a_model_that_fails_counts_as_failed(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: FailingOnSevens())
    with serve(repository) as client:
        assert client.post("/v1/segment", content=SEVENS).status_code == 500
        assert scrape(client)["lacuna_requests_total", "fake", "failed", "native"] == 1


def test_what_calls_take_beside_their_calibration_is_shown_for_each_version(tmp_path):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: FakeRuntime())
    with serve(repository) as client:
        assert scrape(client)["lacuna_model_cost_factor", "fake", "1"] == 1
        for _ in range(100):
            model = repository.find("fake")
            model.note_call(Canvas((20, 50)), 1, 3 * model.cost.predict(1000))

        assert scrape(client)["lacuna_model_cost_factor", "fake", "1"] == pytest.approx(3)


def test_the_state_of_each_model_and_of_the_queue_is_shown(client):
    samples = scrape(client)

    assert samples["lacuna_model_state", "fake", "ready", "1"] == 1
    assert samples["lacuna_model_state", "fake", "failed", "1"] == 0
    assert samples["lacuna_queue_windows",] == 0
    assert samples["lacuna_queue_predicted_seconds",] == 0
    assert samples["lacuna_engine_longest_run_seconds",] == 0


def test_busy_and_idle_workers_and_pending_requests_are_shown(tmp_path):
    runtime = Gated()
    runtime.go.set()
    repository = load_repository(make_repository_folder(tmp_path), lambda _: runtime)
    for event in (runtime.go, runtime.begun):
        event.clear()  # the contract check has set it
    with serve(repository) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, "/v1/segment", content=IMAGE)
        assert runtime.begun.wait(10)
        during = scrape(client)
        runtime.go.set()
        assert answer.result(10).status_code == 200
        after = scrape(client)

    assert during["lacuna_workers", "busy"] == 1
    assert during["lacuna_workers", "idle"] == 0
    assert during["lacuna_pending_requests",] == 1
    assert during["lacuna_pending_body_bytes",] == len(IMAGE)
    assert during["lacuna_worker_busy_seconds_total",] == 0
    assert after["lacuna_workers", "busy"] == 0
    assert after["lacuna_workers", "idle"] == 1
    assert after["lacuna_pending_requests",] == 0
    assert after["lacuna_pending_body_bytes",] == 0
    assert after["lacuna_worker_busy_seconds_total",] > 0


def test_the_time_of_each_step_of_a_load_is_shown_for_each_version(tmp_path):
    folder = make_repository_folder(tmp_path, "fake/1")
    (folder / "fake" / "1" / "saved_model.pb").touch()
    repository = ModelRepository(folder, lambda _: FakeRuntime(), warmup=WarmupPolicy(pixels=64))
    asyncio.run(repository.load_all())

    with serve(repository) as client:
        samples = scrape(client)

    for step in ("load", "check", "warm_up"):
        assert samples["lacuna_model_load_seconds", "fake", step, "1"] > 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidMaskError("no"), "invalid"),
        (OverloadedError("no", "wait", 1), "refused"),
        (DeadlineExceededError("no"), "deadline"),
        (NotReadyError("no"), "unavailable"),
        (OutOfMemoryError("no"), "out_of_memory"),
        (MemoryError("no"), "out_of_memory"),
        (InferenceError("no"), "failed"),
    ],
)
def test_every_error_has_an_outcome(error, outcome):
    assert find_outcome(error) == outcome
    assert outcome in OUTCOMES
