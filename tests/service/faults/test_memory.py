"""Memory runs out: valid images are answered, or refused until later; they are never at fault."""

import asyncio
import base64
import json
import re
import resource
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests.support.fake_server import run_fake_server
from tests.support.images import npy_file, picture_file, tiff_file

MiB = 1 << 20
SIDE = 1000
RNG = np.random.default_rng(14)
NOISE = RNG.integers(0, 255, (SIDE, SIDE), np.uint8)
BLOCKS = np.kron(NOISE[::50, ::50], np.ones((50, 50), np.uint8))


def make_tensors(image):
    """Return an OIP request with raw bytes, and its headers."""
    parameters = {"binary_data_size": image.nbytes}
    shape = [1, *image.shape, 1]
    tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    return text + image.tobytes(), {"Inference-Header-Content-Length": str(len(text))}


def make_requests():
    """Return path, body and headers of a valid request for each format and protocol."""
    files = {
        "PNG": picture_file(BLOCKS, "PNG"),
        "progressive JPEG": picture_file(BLOCKS, "JPEG", progressive=True),
        "lossless WebP": picture_file(BLOCKS, "WEBP", lossless=True),
        "JPEG 2000": picture_file(BLOCKS, "JPEG2000"),
        "TIFF": tiff_file(NOISE, compression="lzw"),
        "NPY": npy_file(NOISE.astype(np.float64)),
    }
    requests = {name: ("/v1/segment", data, {}) for name, data in files.items()}
    json_type = {"Content-Type": "application/json"}
    nested = json.dumps({"image": NOISE[:500, :500].tolist()}).encode()
    requests["JSON"] = ("/v1/segment", nested, json_type)
    requests["OIP"] = ("/v2/models/fake/infer", *make_tensors(NOISE))
    encoded = {"b64": base64.b64encode(files["PNG"]).decode()}
    content = {"instances": [encoded, encoded], "signature_name": "labels"}
    requests["TensorFlow Serving"] = ("/v1/models/fake:predict", json.dumps(content), json_type)
    requests["preview"] = ("/v1/preview", files["TIFF"], {})
    return requests


async def ask_all(address, times):
    """Send every request so many times, all at once."""
    limits = httpx2.Limits(max_connections=24, max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=120, limits=limits) as client:

        async def ask(name, path, body, headers):
            answer = await client.post(f"http://{address}{path}", content=body, headers=headers)
            return name, answer

        requests = [(name, *request) for name, request in make_requests().items()]
        return await asyncio.gather(*(ask(*request) for request in requests * times))


def limit_address_space(server, spare_bytes):
    """Leave a running server so much address space beyond what it has; None for no limit."""
    unlimited = resource.RLIM_INFINITY
    limit = unlimited
    if spare_bytes is not None:
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + spare_bytes
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, unlimited))


@contextmanager
def run_server(folder):
    """Run a server that refuses nothing for its load."""
    with run_fake_server(
        folder, call_s=0.001, ADMISSION__MAX_WAIT_S=1000, ADMISSION__MAX_SHARE=1
    ) as server:
        yield server


def count_statuses(answers):
    for name, answer in answers:
        assert answer.status_code in (200, 503), (name, answer.text)
        if answer.status_code == 503:
            assert "it has run out" in answer.text
            assert int(answer.headers["retry-after"]) >= 1
    return Counter(answer.status_code for _, answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("spare_bytes", [2 * MiB, 80 * MiB, 150 * MiB])
def test_valid_images_are_answered_or_refused_until_later(tmp_path, spare_bytes):
    with run_server(tmp_path) as server:
        limit_address_space(server, spare_bytes)
        meanwhile = asyncio.run(ask_all(server.address, 4))
        metrics = httpx2.get(f"http://{server.address}/metrics").text
        limit_address_space(server, None)
        after = asyncio.run(ask_all(server.address, 1))

    refused = count_statuses(meanwhile)[503]
    assert refused
    counted = re.findall(
        r'^lacuna_requests_total{.*outcome="out_of_memory".*} (.*)$', metrics, re.M
    )
    assert sum(map(float, counted)) == refused
    assert count_statuses(after) == {200: len(after)}
