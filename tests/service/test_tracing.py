"""Spans are made afterwards, and sent where OpenTelemetry's variables say."""

import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lacuna.errors import ConfigurationError
from lacuna.raster.npy import write_npy
from service.config import wants_traces
from service.tracing import FLUSH_S, Tracing, start_tracing
from service.web.server import CLOSING_S
from tests.support.collector import run_collector
from tests.support.fake_server import run_fake_server
from tests.support.tracing import KeptTracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
NOWHERE = "http://127.0.0.1:9"
IMAGE = write_npy(np.arange(63, dtype=np.uint8).reshape(7, 9) * 4)

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (
        ENDPOINT,
        TRACES_ENDPOINT,
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_TRACES_SAMPLER",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: NOWHERE}, True),
        ({TRACES_ENDPOINT: "https://collector/v1/traces"}, True),
        ({ENDPOINT: NOWHERE, "OTEL_SDK_DISABLED": "false"}, True),
        ({ENDPOINT: NOWHERE, "OTEL_SDK_DISABLED": "True"}, False),
        ({ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_there_are_traces_where_an_endpoint_is_named(monkeypatch, variables, wanted):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert wants_traces() is wanted


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({ENDPOINT: "secret@collector:4318"}, f"{ENDPOINT} must begin with http://"),
        ({TRACES_ENDPOINT: "grpc://x", ENDPOINT: NOWHERE}, f"{TRACES_ENDPOINT} must begin"),
        (
            {ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER must be otlp or none; it is zipkin",
        ),
        (
            {ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf; it is grpc",
        ),
    ],
)
def test_what_cannot_be_done_is_not_begun(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=message) as caught:
        wants_traces()
    assert "secret" not in caught.value.message


def test_a_variable_of_the_sdk_that_is_out_of_range_is_a_configuration_error(monkeypatch):
    monkeypatch.setenv(ENDPOINT, NOWHERE)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "-1")

    with pytest.raises(ConfigurationError, match="must be in range: schedule_delay"):
        start_tracing()


def test_without_the_extra_the_start_ends_in_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setenv(ENDPOINT, NOWHERE)
    code = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None; "
        "from lacuna.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "serve"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'lacuna-segmentation[otel]'; in a clone: make setup" in line


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "lacuna"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs"}, "theirs"),
    ],
)
def test_the_service_is_called_lacuna_unless_it_is_told_otherwise(monkeypatch, variables, name):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv(ENDPOINT, NOWHERE)

    tracing = start_tracing()
    tracing.close()

    attributes = tracing.provider.resource.attributes
    assert attributes["service.name"] == name
    assert attributes["service.version"]


def test_a_stage_has_the_times_at_which_it_began_and_ended():
    tracing = KeptTracing()
    before_ns, began_s, after_ns = time.time_ns(), time.perf_counter(), time.time_ns()

    with tracing.provider.get_tracer("test").start_as_current_span("request"):
        tracing.describe({"outcome": "ok"}, {"infer": began_s + 1}, {"infer": 0.25})

    stage = tracing.spans["infer"]
    assert stage.end_time - stage.start_time == 250_000_000
    # Clocks differ by little; this process may have to wait between two of them.
    began_ns = stage.start_time - 1_000_000_000
    assert before_ns - 1_000_000 < began_ns < after_ns + 1_000_000
    assert stage.parent.span_id == tracing.spans["request"].context.span_id
    assert tracing.spans["request"].attributes == {"lacuna.outcome": "ok"}


def test_outside_of_a_request_and_in_one_that_is_not_recorded_nothing_is_made():
    tracing = KeptTracing(ALWAYS_OFF)

    tracing.describe({}, {"infer": 1.0}, {"infer": 1.0})
    with tracing.provider.get_tracer("test").start_as_current_span("request"):
        assert trace.get_current_span().get_span_context().is_valid
        tracing.describe({}, {"infer": 1.0}, {"infer": 1.0})

    assert not tracing.spans


def test_a_provider_that_does_not_end_is_left_behind():
    begun, go = threading.Event(), threading.Event()

    class Stuck(TracerProvider):
        def shutdown(self):
            begun.set()
            go.wait(30)

    Tracing(Stuck(shutdown_on_exit=False)).close(within_s=0.01)

    assert begun.wait(30)
    go.set()


def test_a_servers_spans_reach_the_collector_below_the_callers_before_it_ends(
    monkeypatch, tmp_path
):
    with run_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.address)
        with run_fake_server(tmp_path) as server:
            answer = httpx2.post(
                f"http://{server.address}/v1/segment?model=fake", content=IMAGE, headers=PARENT
            )
            assert answer.status_code == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0

    spans = collector.spans
    assert set(spans) == {"POST /v1/segment", "decode", "queue", "infer", "encode"}
    request = spans.pop("POST /v1/segment")
    assert request.trace_id.hex() == TRACE_ID
    assert request.parent_span_id.hex() == PARENT_ID
    for stage in spans.values():
        assert stage.trace_id == request.trace_id
        assert stage.parent_span_id == request.span_id
    assert answer.headers["traceresponse"] == f"00-{TRACE_ID}-{request.span_id.hex()}-01"
    assert collector.resource["service.name"] == "lacuna"
    assert f'"trace_id": "{TRACE_ID}"' in server.log.read_text()


def test_a_collector_that_hangs_delays_neither_an_answer_nor_the_end(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with run_fake_server(tmp_path) as server:
            answer = httpx2.post(f"http://{server.address}/v1/segment", content=IMAGE)
            began_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(30)
            took_s = time.monotonic() - began_s

    assert (answer.status_code, code) == (200, 0)
    assert took_s < FLUSH_S + CLOSING_S
