import asyncio
import json
import re
import signal
import subprocess
import time
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.web.server import CLOSING_S
from tests.service.faults.asking import IMAGE, LOST, NO_CONNECTION, ask
from tests.support.fake_server import run_fake_server
from tests.support.runtimes import SEVEN
from tests.support.sockets import connect, make_head
from tests.support.waiting import wait_until

SEVENS = write_npy(np.full((9, 9), SEVEN, np.uint8))


async def ask_until_nobody_listens(address, clients, under_load):
    """Ask on and on; give what became of every request. Under load it is once many are answered."""
    outcomes = []

    async def repeat():
        while True:
            outcome = await ask(address, expect=True)
            outcomes.append(outcome)
            if len(outcomes) == 4 * clients:
                under_load.set()
            if outcome.status == NO_CONNECTION:
                return

    await asyncio.gather(*(repeat() for _ in range(clients)))
    return outcomes


@pytest.mark.slow
def test_sigterm_under_load_loses_nothing_that_was_taken_in(tmp_path):
    async def scenario(server):
        under_load = asyncio.Event()
        asking = asyncio.create_task(ask_until_nobody_listens(server.address, 16, under_load))
        await under_load.wait()
        server.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(asking, 30)

    with run_fake_server(tmp_path, call_s=0.05) as server:
        outcomes = asyncio.run(scenario(server))
        assert server.process.wait(10) == 0

    admitted = [outcome for outcome in outcomes if outcome.admitted]
    assert len(admitted) > 30
    assert {outcome.status for outcome in admitted} == {200}
    refused = [outcome for outcome in outcomes if not outcome.admitted]
    assert {outcome.status for outcome in refused} <= {503, LOST, NO_CONNECTION}
    told = [outcome for outcome in refused if outcome.status == 503]
    assert told
    assert all("retry-after" in outcome.headers for outcome in told)


def is_computing(server):
    metrics = httpx2.get(f"http://{server.address}/metrics").text
    (line,) = re.findall(r"^lacuna_engine_longest_run_seconds (\S+)$", metrics, re.MULTILINE)
    return float(line) > 0


@contextmanager
def run_busy_server(folder, **variables):
    """Run a server in the middle of a call that does not end, and the connection of its caller."""
    with run_fake_server(folder, **variables) as server, connect(server.address) as connection:
        connection.sendall(make_head(Content_Length=len(SEVENS)) + SEVENS)
        assert wait_until(lambda: is_computing(server))
        yield server, connection


def test_what_does_not_end_is_cut_off_within_the_time_to_drain(tmp_path):
    limit_s = 1 + CLOSING_S + 1
    for attempt in range(3):  # whatever else the machine does can only add to the time
        with run_busy_server(tmp_path / str(attempt), DRAIN_S=1) as (server, connection):
            began_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(20)
            took_s = time.monotonic() - began_s
            answer = connection.recv(65536)
        assert code == 1
        assert answer.startswith(b"HTTP/1.1 503 ")
        if took_s < limit_s:
            break

    assert took_s < limit_s


def read_status(server):
    return httpx2.get(f"http://{server.address}/readyz").json()["status"]


def test_a_second_signal_ends_the_server_at_once(tmp_path):
    for attempt in range(3):  # whatever else the machine does can only add to the time
        with run_busy_server(tmp_path / str(attempt)) as (server, _):
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(0.5)
            assert wait_until(lambda: read_status(server) == "draining")
            began_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 128 + signal.SIGTERM
            took_s = time.monotonic() - began_s
        if took_s < 2:
            break

    assert took_s < 2


def test_a_killed_server_starts_again_on_its_port_with_what_it_knew(tmp_path):
    with run_fake_server(tmp_path) as server:
        with connect(server.address) as connection:
            connection.sendall(make_head(Content_Length=len(IMAGE)) + IMAGE[:100])
            server.process.kill()
            server.process.wait()
        known = sorted(path.name for path in (tmp_path / "cache").iterdir())
    port = int(server.address.partition(":")[2])
    with run_fake_server(tmp_path, port=port) as server:
        assert asyncio.run(ask(server.address)).status == 200

    assert len(known) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == known


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_the_server_needs_to_write_nothing(tmp_path, fault):
    fault_of = {
        "full": {"file_bytes": 0},
        "read-only": {"CACHE_FOLDER": "/proc/nowhere/cache"},
    }
    with run_fake_server(tmp_path, **fault_of[fault]) as server:
        outcome = asyncio.run(ask(server.address))
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(10) == 0
    assert outcome.status == 200
    if fault == "read-only":
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        assert "calibration is not kept" in [line["message"] for line in lines]
        assert not [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]
