"""Models that raise, hang or answer nonsense; and clients that go while they run."""

import ast
import json
import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest

import service
from lacuna.raster.npy import write_npy
from tests.support.apps import load_repository, make_repository_folder, make_services, serve
from tests.support.live import find_address, run_server
from tests.support.runtimes import SEVEN, HeldOnSevens, Misshapen, OnSevens
from tests.support.sockets import connect, make_head
from tests.support.waiting import wait_until

SEVENS = write_npy(np.full((9, 9), SEVEN, np.uint8))
IMAGE = write_npy(np.full((9, 9), 200, np.uint8))


def repository_of(root, runtime):
    return load_repository(make_repository_folder(root), lambda _: runtime)


@contextmanager
def serve_held(root, **options):
    """Run a server whose model hangs on sevens, its address, its services and the model."""
    runtime = HeldOnSevens()
    services = make_services(repository_of(root, runtime), **options)
    with run_server(services) as server:
        yield find_address(server), services, runtime
        runtime.go.set()


class Raising(OnSevens):
    def misbehave(self):
        raise ZeroDivisionError("secret")


class Starved(OnSevens):
    def misbehave(self):
        raise MemoryError("no memory for a tensor")


@pytest.mark.parametrize(
    ("runtime", "code"), [(Raising(), "internal_error"), (Misshapen(), "inference_failed")]
)
@pytest.mark.parametrize("accept", ["application/json", "application/zip"])
def test_a_model_that_misbehaves_fails_that_request_and_no_other(tmp_path, runtime, code, accept):
    with serve(repository_of(tmp_path, runtime)) as client:
        for _ in range(3):
            failed = client.post("/v1/segment", content=SEVENS, headers={"Accept": accept})
            assert (failed.status_code, failed.json()["code"]) == (500, code)
            answered = client.post("/v1/segment", content=IMAGE, headers={"Accept": accept})
            assert answered.status_code == 200
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/v1/segment", SEVENS, {}),
        ("/v1/segment", SEVENS, {"Accept": "application/zip"}),
        (
            "/v2/models/fake/infer",
            json.dumps(
                {
                    "inputs": [
                        {
                            "name": "image",
                            "datatype": "UINT8",
                            "shape": [2, 9, 9, 1],
                            "data": [SEVEN] * 162,
                        }
                    ]
                }
            ),
            {},
        ),
        ("/v1/models/fake:predict", json.dumps({"instances": [[[SEVEN] * 9] * 9] * 3}), {}),
    ],
    ids=["native", "native with probabilities", "oip", "tfserving"],
)
def test_a_model_without_memory_asks_to_come_again(tmp_path, path, content, headers):
    with serve(repository_of(tmp_path, Starved())) as client:
        refused = client.post(path, content=content, headers=headers)
        metrics = client.get("/metrics").text
        answered = client.post("/v1/segment", content=IMAGE)

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    body = refused.json()
    assert body.get("code", "out_of_memory") == "out_of_memory"
    assert (
        body.get("detail")
        or body["error"] == "there must be memory to run the model; it has run out"
    )
    assert re.search(r'^lacuna_requests_total{.*outcome="out_of_memory".*} 1.0$', metrics, re.M)
    assert answered.status_code == 200


def test_a_model_that_hangs_is_told_by_livez_and_its_caller_keeps_his_deadline(tmp_path):
    with serve_held(tmp_path, watchdog_s=0.3) as (address, _, runtime):
        late = httpx2.post(
            f"http://{address}/v1/segment", params={"timeout_s": 3}, content=SEVENS, timeout=30
        )
        live = httpx2.get(f"http://{address}/livez")
        oip = httpx2.get(f"http://{address}/v2/health/live")
        runtime.go.set()

        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        assert (live.status_code, oip.status_code) == (503, 503)
        assert live.json()["running_s"] > 0.3
        assert "retry-after" in live.headers
        assert wait_until(lambda: httpx2.get(f"http://{address}/livez").status_code == 200)


def count_outcomes(services):
    found = Counter()
    for line in services.telemetry.render().decode().splitlines():
        if line.startswith("lacuna_requests_total{"):
            found[line.split('outcome="')[1].split('"')[0]] += float(line.split()[-1])
    return found


def test_clients_that_vanish_leave_nothing_behind(tmp_path):
    with serve_held(tmp_path) as (address, services, runtime):
        for sent in (SEVENS, SEVENS[:-1]):
            for _ in range(20):
                with connect(address) as connection:
                    connection.sendall(make_head(Content_Length=len(SEVENS)) + sent)
        assert runtime.begun.wait(20)

        # Noticed while the model still runs, and what waits behind it is not run at all.
        assert wait_until(lambda: services.gate.pending == 0)
        assert services.exchange.pipeline.segmenter.dispatcher.count_waiting() == 0
        assert count_outcomes(services) == {"gone": 40}
        runtime.go.set()
        assert httpx2.post(f"http://{address}/v1/segment", content=IMAGE).status_code == 200


def test_no_duration_is_taken_from_a_clock_that_can_be_set():
    """The clock of the wall jumps; only what is told to people may come from it."""
    root = Path(service.__file__).parent.parent
    told = {
        "service/exchange.py": 1,  # when a model was last asked, which OIP's statistics tell
        "lacuna/client/failures.py": 1,  # Retry-After may be a date
        "service/tracing.py": 1,  # where a request lies on a collector's clock
    }
    found = {}
    for path in [*root.glob("service/**/*.py"), *root.glob("lacuna/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "time.time",
                "time.time_ns",
                "datetime.now",
                "datetime.utcnow",
            ):
                name = str(path.relative_to(root))
                found[name] = found.get(name, 0) + 1

    assert found == told
