"""Clients of other servers, unchanged, in processes and an environment of their own.

`make test-slow` makes the environment. The definitions of messages that they bring would clash in
one process.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service.runtime.fake import FakeRuntime
from tests.support.fake_server import run_fake_server
from tests.support.stock_clients import find_python, link_tensorflow_serving

HERE = Path(__file__).parent
RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 256, (2, 37, 53, 1), np.uint8)
MASK = RNG.random((2, 37, 53)) < 0.7

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with run_fake_server(folder, GRPC_PORT=0, ADMIN_KEY="the-key-of-an-admin") as server:
        messages = [json.loads(line)["message"] for line in server.log.read_text().splitlines()]
        (port,) = re.findall(r"gRPC on (\S+)", "\n".join(messages))
        yield port


def run(python, client, folder, address, **variables):
    """Run a client, and return the arrays that it was answered."""
    scene, answer = folder / "scene.npz", folder / "answer.npz"
    np.savez(scene, image=IMAGE, mask=MASK)
    done = subprocess.run(
        [python, HERE / client, address, scene, answer],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(answer) as arrays:
        return dict(arrays)


def check(found, names):
    """Compare an answer with what the model computes alone."""
    valid = np.where(MASK[..., None], IMAGE, 0).astype(np.float32)
    expected = FakeRuntime().run(valid, MASK, probabilities=True)
    assert set(found) == names
    assert np.array_equal(found["labels"], expected.labels)
    assert np.array_equal(found["probabilities"], expected.probabilities * MASK[..., None])


@pytest.mark.parametrize("client", ["triton_client.py", "triton_aio_client.py", "kserve_client.py"])
def test_clients_of_the_open_inference_protocol_do_all_that_applies(client, address, tmp_path):
    found = run(find_python(), client, tmp_path, address)

    check(found, {"labels", "probabilities", "confidence", "support"})


def test_the_stubs_of_tensorflow_serving_do_all_that_applies(address, tmp_path):
    variables = link_tensorflow_serving(tmp_path)
    found = run(sys.executable, "tensorflow_client.py", tmp_path, address, **variables)

    check(found, {"labels", "probabilities"})
