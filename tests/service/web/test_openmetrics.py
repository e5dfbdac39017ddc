"""`GET /metrics` in OpenMetrics, with exemplars that lead to traces."""

import httpx2
import numpy as np
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from service.runtime.fake import FakeRuntime
from tests.support.apps import (
    encode_image,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.live import find_address, run_server
from tests.support.tracing import KeptTracing

IMAGE = encode_image(np.full((10, 12), 200, np.uint8))
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
OF_PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
OF_PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def make_repository(folder):
    return load_repository(make_repository_folder(folder), lambda _: FakeRuntime())


def read_openmetrics(client):
    response = client.get("/metrics", headers=OPENMETRICS)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.")
    return {family.name: family for family in parse_openmetrics(response.text)}


def find_exemplars(families):
    return {
        (name, sample.labels.get("protocol")): sample.exemplar
        for name, family in families.items()
        for sample in family.samples
        if sample.exemplar is not None
    }


@pytest.fixture
def client(tmp_path):
    with serve(make_repository(tmp_path)) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (OF_PROMETHEUS_2, "application/openmetrics-text"),
        (OF_PROMETHEUS_3, "application/openmetrics-text"),
        ("application/openmetrics-text;q=0.1,text/plain", "text/plain"),
        ("application/openmetrics-text;version=x", "application/openmetrics-text"),
        ("text/plain;version=0.0.4", "text/plain"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
        ("text/html", "text/plain"),
        (";;q=,", "text/plain"),
    ],
)
def test_the_form_is_the_one_that_is_preferred(client, accept, media_type):
    response = client.get("/metrics", headers={"Accept": accept})

    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == media_type
    assert response.headers["vary"] == "Accept"


def test_both_forms_have_the_same_series(client):
    assert client.post("/v1/segment", content=IMAGE).status_code == 200
    as_text = parse_text(client.get("/metrics").text)

    def list_series(families):
        return {
            (sample.name, *sorted(sample.labels.items()))
            for family in families
            for sample in family.samples
        }

    assert list_series(read_openmetrics(client).values()) == list_series(as_text)


def test_units_are_those_of_the_names(client):
    families = read_openmetrics(client)
    ours = {name: family for name, family in families.items() if name.startswith("lacuna_")}

    for name, family in ours.items():
        unit = name.rpartition("_")[2]
        assert family.unit == (unit if unit in ("seconds", "bytes") else ""), name
    assert ours["lacuna_request_seconds"].unit == "seconds"
    assert ours["lacuna_image_memory_bytes"].unit == "bytes"


def test_the_duration_of_a_recorded_request_leads_to_its_trace(tmp_path):
    tracing = KeptTracing()
    with serve(make_repository(tmp_path), tracing=tracing) as client:
        assert client.post("/v1/segment", content=IMAGE).status_code == 200
        exemplars = find_exemplars(read_openmetrics(client))

    (found,) = exemplars
    assert found == ("lacuna_request_seconds", "native")
    context = tracing.spans["POST /v1/segment"].context
    assert exemplars[found].labels == {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
    }
    assert 0 < exemplars[found].value < 60


def test_a_failed_request_has_an_exemplar_too(tmp_path):
    with serve(make_repository(tmp_path), tracing=KeptTracing()) as client:
        assert client.post("/v1/segment", content=b"no image").status_code == 422

        assert find_exemplars(read_openmetrics(client))


@pytest.mark.parametrize("tracing", [None, KeptTracing(ALWAYS_OFF)], ids=["none", "unsampled"])
def test_without_a_recorded_span_there_is_no_exemplar(tmp_path, tracing):
    with serve(make_repository(tmp_path), tracing=tracing) as client:
        assert client.post("/v1/segment", content=IMAGE).status_code == 200

        assert not find_exemplars(read_openmetrics(client))


def test_the_text_format_has_no_exemplars_because_prometheus_would_not_take_them(tmp_path):
    with serve(make_repository(tmp_path), tracing=KeptTracing()) as client:
        assert client.post("/v1/segment", content=IMAGE).status_code == 200

        assert "trace_id" not in client.get("/metrics").text


def test_a_port_for_metrics_alone_has_both_forms(tmp_path):
    services = make_services(make_repository(tmp_path))
    with run_server(services, metrics_apart=True) as server:
        address = find_address(server, ready=False, listener=1)
        with httpx2.Client(base_url=f"http://{address}") as client:
            assert read_openmetrics(client)["lacuna_build_info"].type == "gauge"
            assert client.get("/metrics").headers["content-type"].startswith("text/plain")
