"""The runtime for KServe, and a server that is started as KServe starts it."""

import copy
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import jsonschema
import numpy as np
import pytest
from PIL import Image

from service.config import Settings, read_settings
from service.platforms import DEMO_REPOSITORY
from service.web.server import CLOSING_S
from tests.deploy.manifests import (
    KSERVE,
    KUBERNETES,
    find,
    read_manifests,
    render,
    validate,
)
from tests.support import tfserving
from tests.support.demo_model import DEMO
from tests.support.rpc import connect, make_infer, name_outputs, read_outputs
from tests.support.tfserving import PREDICTION, make_predict
from tests.support.waiting import is_ready, wait_until

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text()
MANIFESTS = list(read_manifests(KSERVE))
RUNTIME = find(MANIFESTS, "ClusterServingRuntime")["spec"]
SERVICES = [manifest for manifest in MANIFESTS if manifest["kind"] == "InferenceService"]
(SERVER,) = RUNTIME["containers"]
VARIABLES = {variable["name"]: variable["value"] for variable in SERVER["env"]}
MOUNT = "/mnt/models"
"""Folder into which KServe's storage initializer copies what `storageUri` names."""
TIMEOUT_S = 60
GRACE_S = 30
"""Time that KServe leaves a pod to end, which is Kubernetes' default."""
INJECTED = {
    # Of Knative, and of Kubernetes for the service of an InferenceService called `lacuna`.
    "PORT": "8080",
    "K_SERVICE": "lacuna-predictor",
    "K_REVISION": "lacuna-predictor-00001",
    "LACUNA_PREDICTOR_SERVICE_HOST": "10.96.0.12",
    "LACUNA_PREDICTOR_SERVICE_PORT": "80",
    "LACUNA_PREDICTOR_SERVICE_PORT_HTTP1": "80",
    "LACUNA_PREDICTOR_PORT": "tcp://10.96.0.12:80",
    "LACUNA_PREDICTOR_PORT_80_TCP": "tcp://10.96.0.12:80",
    "LACUNA_PREDICTOR_PORT_80_TCP_ADDR": "10.96.0.12",
}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_a_manifest_is_what_its_kind_allows(manifest):
    validate(manifest)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ClusterServingRuntime", lambda it: it["spec"].pop("containers")),
        ("ClusterServingRuntime", lambda it: it["spec"].update(protocolVersion="v2")),
        ("ClusterServingRuntime", lambda it: it["spec"].update(multiModel="no")),
        ("InferenceService", lambda it: it["spec"]["predictor"]["model"].update(storageUrl="s3:")),
        ("InferenceService", lambda it: it["spec"]["predictor"].update(minReplicas="one")),
    ],
)
def test_a_broken_copy_fails(kind, change):
    broken = copy.deepcopy(next(manifest for manifest in MANIFESTS if manifest["kind"] == kind))
    change(broken)

    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


def test_kustomize_renders_the_runtime():
    (runtime,) = render(KSERVE)

    assert runtime["spec"] == RUNTIME


@pytest.mark.parametrize(
    "service", SERVICES, ids=lambda it: it["spec"]["predictor"]["model"]["protocolVersion"]
)
def test_the_runtime_is_chosen_for_the_examples(service):
    model = service["spec"]["predictor"]["model"]

    (form,) = RUNTIME["supportedModelFormats"]
    assert model["modelFormat"]["name"] == form["name"] == "lacuna"
    assert form["autoSelect"] is True
    assert model["protocolVersion"] in RUNTIME["protocolVersions"]


def test_every_variable_is_a_setting_with_a_value_that_it_takes(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)

    settings = read_settings()

    assert (settings.port, settings.grpc_port) == (8080, 8001)
    assert settings.log_format == "json"


def test_an_example_that_speaks_grpc_declares_its_port():
    models = [service["spec"]["predictor"]["model"] for service in SERVICES]
    (model,) = (model for model in models if model["protocolVersion"].startswith("grpc"))
    (port,) = model["ports"]

    # Knative tells HTTP/2 by the name.
    assert port == {
        "name": "h2c",
        "containerPort": int(VARIABLES["LACUNA_GRPC_PORT"]),
        "protocol": "TCP",
    }
    # It allows no other port.
    assert "ports" not in SERVER


def test_probes_ask_the_port_that_kserve_expects():
    port = int(VARIABLES["LACUNA_PORT"])
    exposed = re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)[-1].split()

    assert str(port) in exposed
    assert RUNTIME["annotations"]["prometheus.kserve.io/port"] == str(port)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert SERVER[probe]["httpGet"]["port"] == port


def test_probes_resources_and_rights_are_those_of_deploy_kubernetes():
    pod = find(list(read_manifests(KUBERNETES)), "Deployment")["spec"]["template"]["spec"]
    (server,) = pod["containers"]

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        expected = copy.deepcopy(server[probe])
        expected["httpGet"]["port"] = int(VARIABLES["LACUNA_PORT"])
        assert SERVER[probe] == expected
    assert SERVER["resources"] == server["resources"]
    assert SERVER["securityContext"] == server["securityContext"] | {
        name: pod["securityContext"][name]
        for name in ("runAsNonRoot", "runAsUser", "seccompProfile")
    }


def test_it_is_not_killed_before_it_has_drained():
    assert Settings.model_fields["drain_s"].default + CLOSING_S < GRACE_S


@contextmanager
def start_as_kserve_does(mount, name):
    """Start the runtime's command for an InferenceService; give the addresses of HTTP and gRPC.

    Args:
        mount: Folder in place of `MOUNT`.
        name: Name of the InferenceService.
    """
    arguments = [
        argument.replace(MOUNT, str(mount)).replace("{{.Name}}", name)
        for argument in SERVER["args"]
    ]
    free = {"LACUNA_PORT": "0", "LACUNA_GRPC_PORT": "0", "LACUNA_ENGINE__WARMUP_PIXELS": "4096"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from lacuna.cli import main; main()", *arguments],
        env=os.environ | VARIABLES | INJECTED | free,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        addresses = read_addresses(process)
        assert wait_until(functools.partial(is_ready, addresses["HTTP"]), 120)
        yield f"http://{addresses['HTTP']}", addresses["gRPC"]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def read_addresses(process):
    """Read the log of a server until it has told the addresses of HTTP and of gRPC."""
    found = {}
    for line in process.stderr:
        message = json.loads(line)["message"]
        told = re.search(r"(gRPC on |http://)(\S+:\d+)", message)
        if told:
            found["gRPC" if told[1].startswith("gRPC") else "HTTP"] = told[2]
        if len(found) == 2:
            break
    return found


SAMPLE = DEMO_REPOSITORY.parent / "samples" / "groundcover" / "clouds.png"
PIXELS = np.asarray(Image.open(SAMPLE).convert("RGB"))[:37, :53]
VALID = np.asarray(Image.open(SAMPLE.with_name("clouds-mask.png")).convert("L"))[:37, :53] > 0


def ask_natively(url, name):
    """Return the labels of /v1/segment."""
    body = {"image": PIXELS.tolist(), "mask": VALID.tolist()}
    answer = httpx2.post(
        f"{url}/v1/segment?model={name}",
        json=body,
        headers={"Accept": "application/x-npy"},
        timeout=TIMEOUT_S,
    )
    answer.raise_for_status()
    return np.load(io.BytesIO(answer.content))


def ask_v1(url, name):
    row = {"image": PIXELS.tolist(), "mask": VALID.tolist()}
    answer = httpx2.post(
        f"{url}/v1/models/{name}:predict", json={"instances": [row]}, timeout=TIMEOUT_S
    )
    answer.raise_for_status()
    (prediction,) = answer.json()["predictions"]
    return np.array(prediction["labels"], np.uint8)


def ask_v2(url, name):
    tensors = {"image": (PIXELS, "UINT8"), "mask": (VALID, "BOOL")}
    inputs = [
        {
            "name": tensor,
            "shape": [1, *values.shape],
            "datatype": kind,
            "data": values.ravel().tolist(),
        }
        for tensor, (values, kind) in tensors.items()
    ]
    body = {"inputs": inputs, "outputs": [{"name": "labels"}]}
    answer = httpx2.post(f"{url}/v2/models/{name}/infer", json=body, timeout=TIMEOUT_S)
    answer.raise_for_status()
    (output,) = answer.json()["outputs"]
    return np.array(output["data"], np.uint8).reshape(output["shape"])[0]


def ask_v2_over_grpc(address, name):
    with connect(address) as stub:
        assert stub.call("ModelReady", stub.make_message("ModelReady")(name=name)).ready
        request = make_infer(PIXELS[None], VALID[None], model_name=name)
        answer = stub.call("ModelInfer", name_outputs(request, "labels"), timeout=TIMEOUT_S)
    return read_outputs(answer)["labels"][0]


def ask_v1_over_grpc(address, name):
    request = make_predict(PIXELS[None], VALID[None], model=name, signature_name="labels")
    with connect(address, PREDICTION) as stub:
        answer = stub.call("Predict", request, timeout=TIMEOUT_S)
    return tfserving.read_outputs(answer)["labels"][0]


@pytest.mark.parametrize(("inside", "version"), [("", "1"), ("7", "7")])
def test_a_model_that_kserve_has_mounted_is_served_by_its_protocols(tmp_path, inside, version):
    """One version's files, and a folder of versions, in place of a repository."""
    shutil.copytree(DEMO, tmp_path / inside, dirs_exist_ok=True)

    with start_as_kserve_does(tmp_path, "roof-segments") as (url, rpc):
        v1 = httpx2.get(f"{url}/v1/models/roof-segments").json()
        v2 = httpx2.get(f"{url}/v2/models/roof-segments").json()
        ready = httpx2.get(f"{url}/v2/models/roof-segments/ready").status_code
        live = httpx2.get(f"{url}/v2/health/live").status_code
        other = httpx2.get(f"{url}/v1/models/groundcover").status_code
        labels = [ask(url, "roof-segments") for ask in (ask_natively, ask_v1, ask_v2)]
        labels += [ask(rpc, "roof-segments") for ask in (ask_v1_over_grpc, ask_v2_over_grpc)]

    assert (v1["name"], v1["ready"]) == ("roof-segments", True)
    assert (v2["name"], v2["versions"]) == ("roof-segments", [version])
    assert (ready, live, other) == (200, 200, 404)
    for found in labels:
        assert np.array_equal(found == 255, ~VALID)
        assert np.array_equal(found, labels[0])
    assert 1 < len(np.unique(labels[0][VALID])) <= 3
