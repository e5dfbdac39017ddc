"""The dashboard and the alerts are held to what the service exports."""

import json
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
import yaml

from service.config import Settings
from service.runtime.fake import FakeRuntime
from service.telemetry import OUTCOMES
from tests.deploy.metrics import LABELS, find_labels, find_series, list_families, list_series
from tests.support.apps import (
    encode_image,
    load_repository,
    make_repository_folder,
    make_services,
)
from tests.support.live import find_address, run_server
from tests.support.tracing import KeptTracing
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = encode_image(np.full((10, 12), 200, np.uint8))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "lacuna.json").read_text())
ALL_RULES = [
    rule
    for name in ("alerts.yml", "slo.yml")
    for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    for rule in group["rules"]
]
RULES = [rule for rule in ALL_RULES if "alert" in rule]
RECORDS = [rule for rule in ALL_RULES if "record" in rule]
RECORDED = {rule["record"] for rule in RECORDS}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{rule['record']} {rule.get('labels', {}).get('slo', '')}": rule["expr"]
        for rule in RECORDS
        if not rule["expr"].startswith("vector(")
    },
    **{
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in PANELS
        for target in panel["targets"]
    },
}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not there (Debian: prometheus)"
)


def run_promtool(*arguments):
    done = subprocess.run(
        [shutil.which("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    return list_families(tmp_path_factory.mktemp("repository"))


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_asks_for_series_that_are_exported(query, families):
    asked = find_series(query)

    assert asked
    assert asked <= list_series(families) | RECORDED


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_names_labels_and_values_that_there_are(query):
    for label, value in find_labels(query):
        assert label in LABELS
        assert value in ("", "$instance") or LABELS[label] is None or value in LABELS[label]


def test_what_is_exported_is_watched(families):
    asked = set().union(*(find_series(query) for query in QUERIES.values()))

    for name in families:
        if name.startswith("lacuna_"):
            assert any(series.startswith(name) for series in asked), name


@pytest.mark.parametrize(
    ("query", "series"),
    [
        ('up{job="lacuna"} == 1 unless on (job, instance) lacuna_model_state', 2),
        ("histogram_quantile(0.99, sum by (le) (rate(x_bucket[$__rate_interval]))) > 1e3", 1),
        ('max by (model) (y{state=~"loading|failed"}) or vector(0)', 1),
    ],
)
def test_series_are_found_in_a_query(query, series):
    assert len(find_series(query)) == series


@needs_promtool
def test_prometheus_takes_its_configuration():
    run_promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then():
    run_promtool("test", "rules", str(Path(__file__).parent / "alerts_test.yml"))


@needs_promtool
@pytest.mark.parametrize("rules", ["slo_test.yml", "slo_days_test.yml"])
def test_budgets_that_are_spent_too_fast_alert_and_no_others(rules):
    run_promtool("test", "rules", str(Path(__file__).parent / rules))


def test_every_request_that_is_no_fault_of_its_client_counts_against_an_objective():
    of_errors = {rule["record"]: rule["expr"] for rule in RECORDS if is_of(rule, "errors")}
    (left_out,) = re.findall(r'outcome!~"([^"]*)"', of_errors["lacuna:slo_total:rate5m"])
    (failed,) = re.findall(r'outcome=~"([^"]*)"', of_errors["lacuna:slo_bad:rate5m"])

    assert {"ok", "refused", *left_out.split("|"), *failed.split("|")} == set(OUTCOMES)


def test_each_objective_has_its_requests_and_is_less_than_all_of_them():
    for slo in LABELS["slo"]:
        of_slo = {rule["record"]: rule["expr"] for rule in RECORDS if is_of(rule, slo)}
        assert set(of_slo) == {
            "lacuna:objective:ratio",
            "lacuna:slo_total:rate5m",
            "lacuna:slo_bad:rate5m",
        }
        assert 0 < float(of_slo["lacuna:objective:ratio"][len("vector(") : -1]) < 1


def test_the_time_of_the_objective_is_a_bound_of_the_histogram_as_it_is_exported(tmp_path):
    (rule,) = (rule for rule in RECORDS if rule["record"] == "lacuna:in_time:rate5m")
    (bound,) = re.findall(r'le="([^"]*)"', rule["expr"])
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    with services.telemetry.measure("native"):
        pass

    bucket = re.compile(r'^lacuna_request_seconds_bucket\{.*le="([^"]*)"', re.MULTILINE)
    bounds = bucket.findall(services.telemetry.render().decode())
    assert bound in bounds
    assert f"{', '.join(bounds[:-2])} or {bounds[-2]}" in " ".join(OPERATIONS.split())


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not there (Debian: prometheus)"
)
def test_prometheus_keeps_the_traces_of_requests_with_the_flags_of_the_compose_file(tmp_path):
    services = make_services(
        load_repository(make_repository_folder(tmp_path / "models"), lambda _: FakeRuntime()),
        tracing=KeptTracing(),
    )
    with run_server(services) as server:
        address = find_address(server)
        answer = httpx2.post(f"http://{address}/v1/segment", content=IMAGE)
        trace_id = answer.headers["traceresponse"].split("-")[1]
        with run_prometheus(tmp_path, address) as api:
            query = {"query": "lacuna_request_seconds_bucket", "start": 0, "end": 9e9}
            found = []

            def is_kept():
                found[:] = ask(f"{api}/query_exemplars", query)
                return bool(found)

            assert wait_until(is_kept, 30)

    assert {each["labels"]["trace_id"] for series in found for each in series["exemplars"]} == {
        trace_id
    }


def ask(url, parameters):
    """Data of an answer of Prometheus; nothing while it does not answer."""
    try:
        return httpx2.get(url, params=parameters).json()["data"]
    except (httpx2.TransportError, ValueError, KeyError):
        return []


@contextmanager
def run_prometheus(folder, target):
    """Run Prometheus with one target, and give the address of its API."""
    scrape = {"job_name": "lacuna", "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    features = [
        flag for flag in services["prometheus"]["command"] if flag.startswith("--enable-feature")
    ]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            shutil.which("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            *features,
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}/api/v1"
    finally:
        process.terminate()
        process.wait(30)


def is_of(rule, slo):
    return rule.get("labels", {}).get("slo") == slo


@needs_promtool
def test_prometheus_understands_the_dashboards_queries(tmp_path):
    queries = [
        query.replace("$__rate_interval", "5m").replace("$instance", ".*")
        for query in QUERIES.values()
    ]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))

    run_promtool("check", "rules", str(path))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_to_be_done(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in OPERATIONS


def test_there_is_no_other_alert_in_the_documentation():
    alerts = re.findall(r"^### (Lacuna\w+)$", OPERATIONS, re.MULTILINE)

    assert alerts == [rule["alert"] for rule in RULES]


def test_every_metric_is_documented_and_no_other(families):
    rows = re.findall(r"^\| `(lacuna_\w+)", OPERATIONS, re.MULTILINE)

    assert sorted(rows) == sorted(name for name in families if name.startswith("lacuna_"))


def test_an_alert_of_a_call_that_hangs_goes_with_the_watchdog():
    (rule,) = (rule for rule in RULES if rule["alert"] == "LacunaHangs")

    assert rule["expr"].endswith(f"> {Settings.model_fields['engine'].default.watchdog_s:g}")


def test_panels_do_not_share_their_place_or_number():
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)

    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_panel_asks_the_source_that_was_chosen():
    for panel in PANELS:
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            # Objectives are those of all servers together.
            of_all = find_series(target["expr"]) <= RECORDED
            assert of_all or '{instance=~"$instance"' in target["expr"]


def test_grafana_finds_its_source_and_its_dashboards():
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards" / "lacuna.yml").read_text())
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    (source,) = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (exemplars,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars["url"] == "${TRACES_URL}$${__value.raw}"
    assert "TRACES_URL" in services["grafana"]["environment"]
    assert "--enable-feature=exemplar-storage" in services["prometheus"]["command"]
    (provider,) = providers["providers"]
    folders = dict(volume.split(":")[:2][::-1] for volume in services["grafana"]["volumes"])
    assert (ROOT / folders[provider["options"]["path"]] / "lacuna.json").is_file()
