"""SIGHUP replaces keys under load; and the end of a terminal is the end of its server."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios

import httpx2

from tests.service.faults.asking import IMAGE
from tests.support.fake_server import ROOT, run_fake_server
from tests.support.sockets import connect, make_head, read_answer
from tests.support.waiting import wait_until

OLD, NEW = "a-client-key-0001", "a-client-key-0002"


def ask(server, key):
    headers = {"X-API-Key": key, "Content-Type": "application/x-npy"}
    return httpx2.post(f"http://{server.address}/v1/segment", content=IMAGE, headers=headers)


def list_lines(server, message):
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line for line in lines if line["message"] == message]


def hang_up(server, message):
    """Send SIGHUP, and wait for one more line of the log."""
    before = len(list_lines(server, message))
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: len(list_lines(server, message)) > before)
    return list_lines(server, message)[-1]


def test_keys_are_rotated_without_a_restart_and_without_a_lost_request(tmp_path):
    file = tmp_path / "keys"
    file.write_text(OLD)
    with run_fake_server(tmp_path, API_KEYS_FILE=file) as server:
        assert [ask(server, key).status_code for key in (OLD, NEW)] == [200, 401]

        file.write_text(f"{OLD}\n{NEW}\n")
        assert hang_up(server, "keys are read anew")["keys"] == 2
        assert [ask(server, key).status_code for key in (OLD, NEW)] == [200, 200]

        file.write_text(NEW)
        assert len(hang_up(server, "keys are read anew")["removed"]) == 1
        assert [ask(server, key).status_code for key in (OLD, NEW)] == [401, 200]

        file.write_text("")
        line = hang_up(server, "keys stay as they were")
        assert line["level"] == "ERROR"
        assert "LACUNA_API_KEYS_FILE must hold a key" in line["reason"]
        assert [ask(server, key).status_code for key in (OLD, NEW)] == [401, 200]
        assert server.process.poll() is None


def test_a_request_that_was_admitted_is_answered_though_its_key_is_gone(tmp_path):
    file = tmp_path / "keys"
    file.write_text(OLD)
    fields = {"Content_Length": len(IMAGE), "X_API_Key": OLD, "Expect": "100-continue"}
    with (
        run_fake_server(tmp_path, API_KEYS_FILE=file) as server,
        connect(server.address) as connection,
    ):
        connection.sendall(make_head(**fields))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        file.write_text(NEW)
        hang_up(server, "keys are read anew")
        connection.sendall(IMAGE)
        status, _, _ = read_answer(connection)

    assert status == 200


def test_many_signals_in_a_row_lose_nothing(tmp_path):
    with run_fake_server(tmp_path) as server:
        for _ in range(50):
            server.process.send_signal(signal.SIGHUP)
        message = "nothing is read anew, because no file of keys is set"
        assert wait_until(lambda: list_lines(server, message))
        assert ask(server, OLD).status_code == 200
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(10) == 0


def test_a_server_that_was_started_on_a_terminal_ends_with_it(tmp_path):
    ours, theirs = os.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-m", "tests.support.fake_server", "0.005", "0", ""]
    settings = {
        "LACUNA_PORT": "0",
        "LACUNA_CACHE_FOLDER": str(tmp_path),
        "LACUNA_ENGINE__WORKERS": "1",
        "LACUNA_ENGINE__WARMUP_PIXELS": "4096",
        "LACUNA_ENGINE__WINDOW_PIXELS": "65536",
    }
    with subprocess.Popen(
        command,
        env=os.environ | settings,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=theirs,
        stderr=theirs,
        preexec_fn=take_terminal,  # noqa: PLW1509 (no other thread runs)
    ) as process:
        try:
            os.close(theirs)
            assert process.stdout.readline().strip()
            os.close(ours)

            assert process.wait(30) == 0
        finally:
            process.kill()
