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
SIDE = 700
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


async def ask_all(address, times, most_bytes=100 * MiB):
    """Send every request so many times, all at once, except those with larger bodies."""
    limits = httpx2.Limits(max_connections=24, max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=120, limits=limits) as client:

        async def ask(name, path, body, headers):
            try:
                url = f"http://{address}{path}"
                return name, await client.post(url, content=body, headers=headers)
            except httpx2.ReadError:
                return name, None  # asyncio itself had no memory to read from the connection

        requests = make_requests().items()
        chosen = [(name, *rest) for name, rest in requests if len(rest[1]) <= most_bytes]
        return await asyncio.gather(*(ask(*request) for request in chosen * times))


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
    """Count the statuses, which must be 200 or 503; 0 stands for a connection that was lost."""
    for name, answer in answers:
        if answer is None:
            continue
        assert answer.status_code in (200, 503), (name, answer.text)
        if answer.status_code == 503:
            assert "it has run out" in answer.text
            assert int(answer.headers["retry-after"]) >= 1
    return Counter(0 if answer is None else answer.status_code for _, answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("spare_bytes", [4 * MiB, 24 * MiB])
def test_valid_images_are_answered_or_refused_until_later(tmp_path, spare_bytes):
    with run_server(tmp_path) as server:
        before = asyncio.run(ask_all(server.address, 1))
        limit_address_space(server, spare_bytes)
        meanwhile = asyncio.run(ask_all(server.address, 4))
        metrics = httpx2.get(f"http://{server.address}/metrics").text
        limit_address_space(server, None)
        after = asyncio.run(ask_all(server.address, 1))

    assert count_statuses(before) == count_statuses(after) == {200: len(before)}
    statuses = count_statuses(meanwhile)
    assert statuses[503] > len(meanwhile) / 10 > statuses[0]
    counted = re.findall(
        r'^lacuna_requests_total{.*outcome="out_of_memory".*} (.*)$', metrics, re.M
    )
    # What the parser of HTTP has no memory for is refused before it is a request.
    assert 0 < sum(map(float, counted)) <= statuses[503]


@pytest.mark.slow
def test_a_thread_that_cannot_be_started_is_lack_of_memory_too(tmp_path):
    with run_server(tmp_path) as server:
        limit_address_space(server, 6 * MiB)  # the stack of a thread takes 8 MiB
        meanwhile = asyncio.run(ask_all(server.address, 1, most_bytes=MiB // 8))
        limit_address_space(server, None)
        after = asyncio.run(ask_all(server.address, 1))
        log = server.log.read_text()

    assert count_statuses(meanwhile)[503]
    assert "can't start new thread" in log
    assert count_statuses(after) == {200: len(after)}
