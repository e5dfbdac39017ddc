"""The dashboard and the alerts are held to what the service exports."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.config import Settings
from tests.deploy.metrics import LABELS, find_labels, find_series, list_families, list_series

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "lacuna.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
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
    assert asked <= list_series(families)


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
            assert '{instance=~"$instance"' in target["expr"]


def test_grafana_finds_its_source_and_its_dashboards():
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards" / "lacuna.yml").read_text())
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    (source,) = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = providers["providers"]
    folders = dict(volume.split(":")[:2][::-1] for volume in services["grafana"]["volumes"])
    assert (ROOT / folders[provider["options"]["path"]] / "lacuna.json").is_file()
