"""The manifests of deploy/kubernetes say what the server, its image and its documentation say."""

import copy
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from scripts.write_prometheus_rules import MANIFEST, list_rule_files, write_rules
from service.config import Settings, read_settings
from service.web.server import CLOSING_S
from tests.deploy.manifests import (
    BUILT_IN,
    COMPONENTS,
    KUBERNETES,
    find,
    list_containers,
    read_manifests,
    render,
    render_overlay,
    render_with,
    validate,
)
from tests.deploy.metrics import LABELS, find_labels, find_series, list_families, list_series
from tests.support.apps import load_repository, make_repository_folder, serve

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MANIFESTS = list(read_manifests(KUBERNETES))
DEPLOYMENT = find(MANIFESTS, "Deployment")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(SERVER,) = POD["containers"]
SERVICE = next(manifest for manifest in MANIFESTS if manifest["kind"] == "Service")
HPA = find(MANIFESTS, "HorizontalPodAutoscaler")["spec"]
KEDA = find(MANIFESTS, "ScaledObject")["spec"]
ADAPTER = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())["rules"]
SETTINGS = dict(
    line.split("=", 1)
    for line in (KUBERNETES / "base" / "settings.env").read_text().splitlines()
    if not line.startswith("#")
)
VARIANTS = [(), *((name,) for name in COMPONENTS), ("keys", "models-bucket", "monitoring", "hpa")]
GB = 1e9


def read_size(quantity):
    """Return the bytes of a quantity such as 4Gi."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1 << 20, "Gi": 1 << 30}[unit]


def find_instruction(name):
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_a_manifest_is_what_its_kind_allows(manifest):
    validate(manifest)


@pytest.mark.parametrize("components", VARIANTS)
def test_what_kustomize_makes_of_it_is_what_its_kind_allows(components):
    manifests = render_with(*components)

    assert find(manifests, "Deployment")
    for manifest in manifests:
        if manifest["apiVersion"] in BUILT_IN:
            validate(manifest)


@pytest.mark.parametrize("overlay", ["hpa", "keda"])
def test_an_overlay_leaves_the_number_of_pods_to_its_autoscaler(overlay):
    manifests = render(KUBERNETES / "overlays" / overlay)

    kinds = {manifest["kind"] for manifest in manifests}
    assert {"ServiceMonitor", "PrometheusRule"} < kinds
    assert {"HorizontalPodAutoscaler", "ScaledObject"} & kinds == {
        {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[overlay]
    }
    assert "replicas" not in find(manifests, "Deployment")["spec"]
    assert all(m["metadata"].get("namespace", "lacuna") == "lacuna" for m in manifests)


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)


BROKEN = {
    "a misspelt field": lambda it: rename(
        it["spec"]["template"]["spec"]["containers"][0], "readinessProbe", "readynessProbe"
    ),
    "a field in the wrong place": lambda it: it.update(replicas=2),
    "text for a number": lambda it: it["spec"].update(replicas="two"),
    "a list for a mapping": lambda it: it["spec"].update(selector=["lacuna"]),
    "no selector": lambda it: it["spec"].pop("selector"),
    "no name of a container": lambda it: it["spec"]["template"]["spec"]["containers"][0].pop(
        "name"
    ),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_copy_fails(change):
    broken = copy.deepcopy(DEPLOYMENT)
    change(broken)

    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


BROKEN_CUSTOM = {
    "ServiceMonitor": lambda it: rename(it["spec"], "endpoints", "endpoint"),
    "PrometheusRule": lambda it: it["spec"]["groups"][0]["rules"][0].update(forr="1m"),
    "ScaledObject": lambda it: it["spec"].update(maxReplicaCount="ten"),
}


@pytest.mark.parametrize("kind", BROKEN_CUSTOM)
def test_a_broken_copy_of_a_custom_resource_fails(kind):
    broken = copy.deepcopy(next(manifest for manifest in MANIFESTS if manifest["kind"] == kind))
    BROKEN_CUSTOM[kind](broken)

    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_ready_server_passes_its_probes(tmp_path, probe):
    get = SERVER[probe]["httpGet"]
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        assert client.get(get["path"]).status_code == 200

    assert get["port"] == "http"


def test_a_server_that_loads_is_not_ready_and_is_not_restarted(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        assert client.get(SERVER["readinessProbe"]["httpGet"]["path"]).status_code == 503
        for probe in ("startupProbe", "livenessProbe"):
            assert client.get(SERVER[probe]["httpGet"]["path"]).status_code == 200


def test_a_hang_is_noticed_by_the_probe_within_the_watchdogs_limit_again():
    probe = SERVER["livenessProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] <= Settings().engine.watchdog_s


def test_every_variable_is_a_setting_with_a_value_that_it_takes(monkeypatch):
    rendered = find(render_with("keys"), "ConfigMap")["data"]
    for name, value in rendered.items():
        monkeypatch.setenv(name, value)

    settings = read_settings()

    assert rendered.items() >= SETTINGS.items()
    assert settings.metrics_port == int(SETTINGS["LACUNA_METRICS_PORT"])
    assert settings.grpc_port == int(SETTINGS["LACUNA_GRPC_PORT"])
    assert settings.log_format == "json"
    assert str(settings.api_keys_file) == "/etc/lacuna/keys/api-keys"


def test_the_keys_are_mounted_where_they_are_looked_for():
    manifests = render_with("keys")
    (server,) = list_containers(manifests)

    mounts = {mount["name"]: mount for mount in server["volumeMounts"]}
    file = find(manifests, "ConfigMap")["data"]["LACUNA_API_KEYS_FILE"]
    assert str(Path(file).parent) == mounts["keys"]["mountPath"]
    # A file that is mounted by subPath never changes in the container.
    assert "subPath" not in mounts["keys"]
    assert mounts["keys"]["readOnly"] is True


def test_ports_are_those_of_the_settings_and_of_the_image():
    ports = {port["name"]: port["containerPort"] for port in SERVER["ports"]}

    assert ports["http"] == Settings.model_fields["port"].get_default(call_default_factory=True)
    assert ports["grpc"] == int(SETTINGS["LACUNA_GRPC_PORT"])
    assert ports["metrics"] == int(SETTINGS["LACUNA_METRICS_PORT"])
    exposed = {int(port) for port in find_instruction("EXPOSE").split()}
    assert {port for name, port in ports.items() if name != "metrics"} <= exposed


def test_services_policies_and_monitors_name_ports_that_there_are():
    names = {port["name"] for port in SERVER["ports"]}
    for service in (manifest for manifest in MANIFESTS if manifest["kind"] == "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    rules = find(MANIFESTS, "NetworkPolicy")["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == names
    (endpoint,) = find(MANIFESTS, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in SERVICE["spec"]["ports"]}


def test_clients_of_grpc_find_every_pod():
    """A name with one address would leave all calls of a connection to one pod."""
    (service,) = (
        manifest["spec"] for manifest in MANIFESTS if manifest["metadata"]["name"] == "lacuna-grpc"
    )

    assert service["clusterIP"] == "None"
    assert {(port["port"], port["targetPort"]) for port in service["ports"]} == {(8001, "grpc")}


def test_everything_selects_the_pods_of_the_deployment():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]

    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Service":
            assert spec["selector"] == labels
        if manifest["kind"] in ("PodDisruptionBudget", "ServiceMonitor"):
            assert spec["selector"]["matchLabels"] == labels
        if manifest["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"] == labels
    for constraint in POD["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels


def test_the_job_is_called_as_alerts_expect():
    label = find(MANIFESTS, "ServiceMonitor")["spec"]["jobLabel"]

    assert {SERVICE["metadata"]["labels"][label]} == LABELS["job"]


def test_it_is_not_killed_before_it_has_drained(monkeypatch):
    monkeypatch.setenv("LACUNA_DRAIN_S", SETTINGS["LACUNA_DRAIN_S"])
    waits_s = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]

    needed_s = waits_s + read_settings().drain_s + CLOSING_S
    assert needed_s < POD["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("components", VARIANTS)
def test_a_container_can_do_no_more_than_it_must(components):
    manifests = render_with(*components)
    pod = find(manifests, "Deployment")["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in list_containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_the_user_is_the_images():
    user, group = map(int, find_instruction("USER").split(":"))
    context = POD["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, group, group)


def test_what_was_measured_is_written_where_the_image_says():
    folder = re.search(r"LACUNA_CACHE_FOLDER=(\S+)", DOCKERFILE)[1]

    (mount,) = SERVER["volumeMounts"]
    assert mount["mountPath"] == folder
    assert {volume["name"] for volume in POD["volumes"]} == {mount["name"]}


@pytest.mark.parametrize("component", [name for name in COMPONENTS if name.startswith("models")])
def test_models_are_mounted_where_the_image_looks_for_them(component):
    folder = re.search(r"ln -s (\S+) /opt/lacuna/service/demo/models", DOCKERFILE)[1]
    *before, server = list_containers(render_with(component))

    (mount,) = (mount for mount in server["volumeMounts"] if mount["name"] == "models")
    assert mount == {"name": "models", "mountPath": folder, "readOnly": True}
    for container in before:
        target = next(m for m in container["volumeMounts"] if m["name"] == "models")["mountPath"]
        assert target in container.get("args", container.get("command"))


def test_images_are_named_in_an_overlay(tmp_path):
    images = [
        {"name": "lacuna", "newName": "registry/lacuna", "newTag": "1.0"},
        {"name": "lacuna-models", "newName": "registry/models", "newTag": "7"},
    ]

    models, server = list_containers(render_overlay(tmp_path, "models-image", images=images))

    assert models["image"] == "registry/models:7"
    assert server["image"] == "registry/lacuna:1.0"


def test_memory_suffices_for_the_models_and_for_the_largest_image():
    resources, settings = SERVER["resources"], Settings()
    assert resources["requests"] == resources["limits"]
    workers = int(resources["limits"]["cpu"])
    for_requests = 0.85 * (read_size(resources["limits"]["memory"]) - (1.6 + 0.6 * workers) * GB)

    # docs/operations.md#memory, for 8-bit RGB as PNG and an answer as JSON.
    image = settings.limits.image_pixels * ((3 * 4 + 3) + max(2 * 3, 12))
    assert image < 2 / 3 * for_requests
    assert settings.limits.body_bytes < 1 / 3 * for_requests


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return list_series(list_families(tmp_path_factory.mktemp("repository")))


QUERIES = {
    **{rule["name"]["as"]: rule["metricsQuery"] for rule in ADAPTER},
    **{trigger["name"]: trigger["metadata"]["query"] for trigger in KEDA["triggers"]},
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_autoscalers_ask_for_series_that_are_exported(query, series):
    asked = find_series(query)

    assert asked
    assert asked <= series
    for label, _ in find_labels(query.replace("<<.GroupBy>>", "pod")):
        assert label in {"pod", "namespace"}


def test_the_adapter_finds_the_series_by_which_it_announces_a_metric(series):
    for rule in ADAPTER:
        (found,) = find_series(rule["seriesQuery"])
        assert found in series
        assert rule["metricsQuery"].count(found) == 1
        assert rule["resources"]["overrides"].keys() == {"namespace", "pod"}


def test_the_autoscaler_reads_what_the_adapter_announces():
    wanted = [metric["pods"]["metric"]["name"] for metric in HPA["metrics"]]

    assert wanted == [rule["name"]["as"] for rule in ADAPTER]


def test_both_autoscalers_decide_the_same():
    matchers, grouping = 'namespace="lacuna"', "pod"
    targets = {"2": 2.0, "750m": 0.75}
    for metric, rule, trigger in zip(HPA["metrics"], ADAPTER, KEDA["triggers"], strict=True):
        query = rule["metricsQuery"].replace("<<.LabelMatchers>>", matchers)
        query = query.replace("<<.GroupBy>>", grouping)
        asked = trigger["metadata"]["query"]
        assert asked == f"sum( {query} )"
        assert trigger["metricType"] == metric["pods"]["target"]["type"] == "AverageValue"
        target = targets[metric["pods"]["target"]["averageValue"]]
        assert float(trigger["metadata"]["threshold"]) == target

    assert (HPA["minReplicas"], HPA["maxReplicas"]) == (
        KEDA["minReplicaCount"],
        KEDA["maxReplicaCount"],
    )
    assert HPA["behavior"] == KEDA["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert HPA["scaleTargetRef"]["name"] == KEDA["scaleTargetRef"]["name"] == "lacuna"


def test_pods_are_added_long_before_requests_are_refused():
    target_s = float(HPA["metrics"][0]["pods"]["target"]["averageValue"])

    assert target_s <= Settings().admission.max_wait_s / 5


def test_one_pod_may_be_evicted_and_one_serves_on():
    budget = find(MANIFESTS, "PodDisruptionBudget")["spec"]

    assert budget["maxUnavailable"] < HPA["minReplicas"] <= DEPLOYMENT["spec"]["replicas"]


def test_the_alerts_are_those_of_prometheus():
    rules = [manifest["spec"] for manifest in MANIFESTS if manifest["kind"] == "PrometheusRule"]

    assert MANIFEST.read_text() == write_rules(), "make docs writes it anew"
    assert rules == [yaml.safe_load(file.read_text()) for file in list_rule_files()]


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not there (Debian: prometheus)"
)
def test_the_queries_give_seconds_of_wait_and_share_of_load(tmp_path):
    """Two pods of two workers: 4 s and 8 s queued, one worker and no worker always busy."""
    pods = {"a": (4, 1), "b": (8, 0)}
    inputs = []
    for pod, (queued_s, busy) in pods.items():
        labels = f'namespace="lacuna", pod="{pod}"'
        inputs += [
            {"series": f"lacuna_queue_predicted_seconds{{{labels}}}", "values": f"{queued_s}x20"},
            {
                "series": f"lacuna_worker_busy_seconds_total{{{labels}}}",
                "values": f"0+{15 * busy}x20",
            },
            {"series": f'lacuna_workers{{{labels}, state="busy"}}', "values": f"{busy}x20"},
            {"series": f'lacuna_workers{{{labels}, state="idle"}}', "values": f"{2 - busy}x20"},
        ]
    expected = {"queue-wait": 2 + 4, "worker-load": 0.5 + 0}
    test = {
        "interval": "15s",
        "input_series": inputs,
        "promql_expr_test": [
            {
                "expr": trigger["metadata"]["query"],
                "eval_time": "5m",
                "exp_samples": [{"labels": "{}", "value": expected[trigger["name"]]}],
            }
            for trigger in KEDA["triggers"]
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [test]}))

    done = subprocess.run(
        [shutil.which("promtool"), "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_component_is_documented():
    page = (ROOT / "docs" / "kubernetes.md").read_text()

    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == COMPONENTS
