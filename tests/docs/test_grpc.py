"""Examples of docs/grpc.md run, and its tables are those of the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.assembly import make_rpc_listener
from service.config import read_settings
from service.interfaces.messages import find_methods
from service.listening.statuses import INTERNAL_ERROR, STATUSES
from tests.support.apps import load_demo, make_services
from tests.support.rpc import OIP, serve_rpc
from tests.support.stock_clients import link_tensorflow_serving
from tests.support.tfserving import MODEL, PREDICTION

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "grpc.md").read_text()
PYTHON, TENSORFLOW = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
CODES = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", TEXT, re.MULTILINE))


def test_the_example_segments_a_sample_with_a_stock_client(tmp_path):
    (tmp_path / "service").symlink_to(ROOT / "service")
    services = make_services(load_demo("aerial"))
    with serve_rpc(services) as address:
        # In a process of its own, because Triton's client brings its own messages.
        result = subprocess.run(
            [sys.executable, "-c", PYTHON.replace("127.0.0.1:8001", address)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert result.returncode == 0, result.stderr
    assert result.stdout == "(1, 512, 512)\n"


@pytest.mark.slow
def test_the_example_of_tensorflow_serving_segments_a_sample(tmp_path):
    (tmp_path / "service").symlink_to(ROOT / "service")
    load_images = PYTHON[: PYTHON.index("tensors = ")].replace("import tritonclient.grpc", "#")
    services = make_services(load_demo("aerial"))
    with serve_rpc(services) as address:
        result = subprocess.run(
            [sys.executable, "-c", load_images + TENSORFLOW.replace("127.0.0.1:8001", address)],
            cwd=tmp_path,
            env=os.environ | link_tensorflow_serving(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )

    assert result.returncode == 0, result.stderr
    assert result.stdout == "(1, 512, 512)\n"


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.code)
def test_every_error_is_under_its_grpc_code(kind):
    status, code = STATUSES[kind].grpc, f"`{kind.code}`"

    assert code in CODES[status] or status == "INTERNAL"
    assert not [other for other, told in CODES.items() if other != status and code in told]


def test_unexpected_errors_are_internal():
    assert INTERNAL_ERROR in CODES["INTERNAL"]


SERVICES = (OIP, PREDICTION, MODEL, "grpc.health.v1.Health")


@pytest.mark.parametrize(
    "method", [method for service in SERVICES for method in find_methods(service)]
)
def test_every_call_is_documented(method):
    assert re.search(rf"^\| .*`{method}`", TEXT, re.MULTILINE)


def test_grpc_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("LACUNA_GRPC_PORT", "off")

    assert make_rpc_listener(read_settings(), None) is None
