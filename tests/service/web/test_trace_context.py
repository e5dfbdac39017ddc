"""What the traces of an application tell, and what its callers are told of them."""

import itertools
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve
from tests.support.runtimes import SEVEN, FailingOnSevens
from tests.support.tracing import KeptTracing

IMAGE = encode_image(np.full((10, 12), 200, np.uint8))
SEVENS = encode_image(np.full((10, 12), SEVEN, np.uint8))
MASK = encode_image(np.repeat([255, 0], 6).astype(np.uint8)[None].repeat(10, axis=0))
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [2, 2, 2, 1], "data": [9] * 8}
PIXELS = [[[0], [9]], [[9], [0]]]
OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
STAGES = ["decode", "queue", "infer", "encode"]

SEGMENT, INFER = "POST /v1/segment", "POST /v2/models/{name}/infer"
PREDICT = "POST /v1/models/{name}:predict"

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def tracing():
    return KeptTracing()


@pytest.fixture
def client(tmp_path, tracing):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: FakeRuntime())
    with serve(repository, tracing=tracing) as client:
        yield client


def ask_all(client, **options):
    """Ask by each protocol once."""
    return [
        client.post("/v1/segment", files={"image": IMAGE, "mask": MASK}, **options),
        client.post("/v2/models/fake/infer", json={"inputs": [TENSOR]}, **options),
        client.post("/v1/models/fake:predict", json={"instances": [PIXELS]}, **options),
    ]


def name_caller(flags="01"):
    return {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-{flags}"}


@pytest.mark.parametrize(
    ("name", "path", "options"),
    [
        (SEGMENT, "/v1/segment", {"content": IMAGE}),
        (INFER, "/v2/models/fake/infer", {"json": {"inputs": [TENSOR]}}),
        (PREDICT, "/v1/models/fake:predict", {"json": {"instances": [PIXELS]}}),
    ],
)
def test_a_request_has_a_span_and_each_stage_one_below_it(client, tracing, name, path, options):
    assert client.post(path, **options).status_code == 200

    spans = tracing.spans
    request = spans.pop(name)
    assert request.kind is SpanKind.SERVER
    assert list(spans) == STAGES
    assert {span.parent.span_id for span in spans.values()} == {request.context.span_id}


def test_stages_follow_each_other_within_the_request(client, tracing):
    answer = client.post("/v1/segment", content=IMAGE)

    spans = tracing.spans
    request = spans[SEGMENT]
    times = [request.start_time]
    for stage in STAGES:
        times += [spans[stage].start_time, spans[stage].end_time]
    times.append(request.end_time)
    # Two clocks are read one after the other, so that a start may be off by their distance.
    assert all(later - earlier > -1_000_000 for earlier, later in itertools.pairwise(times))
    assert spans["queue"].start_time == pytest.approx(spans["decode"].end_time, abs=1_000)
    assert spans["infer"].start_time == pytest.approx(spans["queue"].end_time, abs=1_000)
    for stage, ms in re.findall(r"(\w+);dur=([0-9.]+)", answer.headers["server-timing"]):
        took_ms = (spans[stage].end_time - spans[stage].start_time) / 1e6
        assert took_ms == pytest.approx(float(ms), abs=0.001)


def test_the_requests_span_tells_model_size_and_pixels(client, tracing):
    client.post("/v1/segment", files={"image": IMAGE, "mask": MASK})
    client.post("/v2/models/fake/infer", json={"inputs": [TENSOR]})

    told = {
        name: {key: value for key, value in span.attributes.items() if key.startswith("lacuna.")}
        for name, span in tracing.spans.items()
    }
    assert told[SEGMENT] == {
        "lacuna.protocol": "native",
        "lacuna.outcome": "ok",
        "lacuna.model.name": "fake",
        "lacuna.model.version": "1",
        "lacuna.image.height": 10,
        "lacuna.image.width": 12,
        "lacuna.pixels.image": 120,
        "lacuna.pixels.valid": 60,
        "lacuna.pixels.computed": 12 * 8,
    }
    assert (
        told[INFER].items()
        >= {
            "lacuna.protocol": "oip",
            "lacuna.images": 2,
            "lacuna.pixels.image": 8,
        }.items()
    )


def test_every_attribute_is_documented(client, tracing):
    ask_all(client)
    client.post("/v1/segment", content=b"no image")

    names = {name for span in tracing.ended for name in span.attributes}
    assert len([name for name in names if name.startswith("lacuna.")]) == 11
    for name in names:
        assert f"`{name}`" in OPERATIONS


def test_a_callers_span_is_the_parent_and_learns_of_its_child(client, tracing):
    for answer in ask_all(client, headers=name_caller()):
        assert answer.headers["traceresponse"].startswith(f"00-{TRACE_ID}-")
        child_id = answer.headers["traceresponse"].split("-")[2]
        (request,) = [span for span in tracing.ended if f"{span.context.span_id:016x}" == child_id]
        assert request.kind is SpanKind.SERVER
        assert f"{request.parent.span_id:016x}" == PARENT_ID


def test_without_a_caller_a_trace_begins_here(client, tracing):
    answer = client.post("/v1/segment", content=IMAGE)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", answer.headers["traceresponse"])
    assert tracing.spans[SEGMENT].parent is None


def test_a_requests_line_in_the_log_names_its_trace(client, caplog):
    with caplog.at_level(logging.INFO):
        client.post("/v1/segment", content=IMAGE, headers=name_caller())

    (record,) = [record for record in caplog.records if record.message == "request"]
    assert record.trace_id == TRACE_ID


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/v2/health/live"])
def test_what_is_asked_every_few_seconds_is_not_traced(client, tracing, path):
    answer = client.get(path)

    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers
    assert not tracing.spans


def test_looks_at_the_progress_of_a_request_are_not_traced(client, tracing):
    assert client.get("/v1/progress/never").status_code == 404

    assert not tracing.spans


def test_a_request_that_is_refused_tells_why_and_has_no_stages(client, tracing):
    assert client.post("/v1/segment", content=b"no image").status_code == 422

    (request,) = tracing.ended
    assert request.attributes["lacuna.outcome"] == "invalid"
    assert request.attributes["lacuna.error"] == "invalid_image"
    assert request.attributes["http.response.status_code"] == 422
    assert request.status.status_code is StatusCode.UNSET


def test_a_model_that_fails_is_an_error_in_the_trace(tmp_path, tracing):
    repository = load_repository(make_repository_folder(tmp_path), lambda _: FailingOnSevens())
    with serve(repository, tracing=tracing) as client:
        assert client.post("/v1/segment", content=SEVENS).status_code == 500

    request = tracing.spans[SEGMENT]
    assert request.status.status_code is StatusCode.ERROR
    assert request.attributes["lacuna.outcome"] == "failed"
    assert request.attributes["lacuna.error"] == "inference_failed"
    assert not request.events
    assert "no memory" not in request.to_json()


def test_a_request_that_is_not_recorded_is_answered_alike_and_keeps_its_trace(tmp_path, caplog):
    tracing = KeptTracing(ParentBased(ALWAYS_OFF))
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, tracing=tracing) as client, caplog.at_level(logging.INFO):
        answers = ask_all(client, headers=name_caller("00"))

    assert [answer.status_code for answer in answers] == [200] * 3
    for answer in answers:
        assert re.fullmatch(f"00-{TRACE_ID}-[0-9a-f]{{16}}-00", answer.headers["traceresponse"])
    lines = [record for record in caplog.records if record.message == "request"]
    assert [line.trace_id for line in lines] == [TRACE_ID] * 3
    assert not tracing.spans


def test_a_server_that_traces_nothing_says_nothing_of_traces(tmp_path, caplog):
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository) as client, caplog.at_level(logging.INFO):
        answers = ask_all(client, headers=name_caller())

    assert not any("traceresponse" in answer.headers for answer in answers)
    lines = [record for record in caplog.records if record.message == "request"]
    assert len(lines) == 3
    assert not any(hasattr(line, "trace_id") for line in lines)


def test_neither_keys_nor_what_was_sent_are_in_a_trace(tmp_path, tracing):
    key, pixel = "a-client-key-0001", 123456.71875
    repository = load_repository(make_repository_folder(tmp_path))
    with serve(repository, tracing=tracing, access_control=AccessControl(KeyRing([key]))) as client:
        for content in ({"image": [[pixel]]}, {"image": [[pixel], [pixel] * 2]}):
            client.post(
                f"/v1/segment?key={key}", json=content, headers={"Authorization": f"Bearer {key}"}
            )
            client.post("/v1/segment", json=content, headers={"X-API-Key": f"{key}-not"})

    traced = "\n".join(span.to_json() for span in tracing.ended)
    assert len([span for span in tracing.ended if span.kind is SpanKind.SERVER]) == 4
    assert key not in traced
    assert str(pixel) not in traced
