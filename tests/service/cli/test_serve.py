import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from lacuna.cli import main
from service.platforms import DEMO_REPOSITORY
from service.web.server import CLOSING_S
from tests.support.processes import find_policies
from tests.support.waiting import wait_until

SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"
COMMAND = (sys.executable, "-c", "from lacuna.cli import main; main()")


@contextmanager
def run_server(command=COMMAND, **variables):
    """Start `lacuna serve` on free ports; give the process, its URL and the log so far.

    One of the demo's models is enough.
    """
    process = subprocess.Popen(
        [*command, "serve", "--port", "0"],
        # On its usual port another server may be, which would be a warning.
        env=os.environ | {"LACUNA_GRPC_PORT": "0", "LACUNA_MODELS": "groundcover"} | variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    try:
        for line in process.stderr:
            lines.append(json.loads(line))
            found = re.search(r"http://\S+:\d+", lines[-1]["message"])
            if found:
                yield process, found[0], lines
                break
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def read_until_ready(process, lines):
    for line in process.stderr:
        lines.append(json.loads(line))
        if lines[-1]["message"] == "model ready":
            return


def test_a_served_sample_is_segmented_and_sigterm_ends_the_server_well():
    with run_server() as (process, url, lines):
        read_until_ready(process, lines)
        assert json.loads(process.stderr.readline())["message"] == f"Ready: open {url}"
        assert httpx2.get(f"{url}/readyz").status_code == 200
        if sys.platform == "linux":
            assert find_policies(process.pid, "tf_Compute") == {os.SCHED_BATCH}
        answer = httpx2.post(
            f"{url}/v1/segment",
            files={
                "image": (SAMPLES / "clouds.png").read_bytes(),
                "mask": (SAMPLES / "clouds-mask.png").read_bytes(),
            },
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    assert answer.status_code == 200
    assert min(entry["fraction"] for entry in answer.json()["classes"]) > 0.05


@pytest.mark.skipif(find_library("jemalloc") is None, reason="jemalloc is not installed")
@pytest.mark.parametrize(
    ("command", "loaded"),
    [((str(Path(sys.executable).with_name("lacuna")),), True), (COMMAND, False)],
    ids=["lacuna", "another program"],
)
def test_the_command_loads_jemalloc_but_starts_no_other_program_anew(command, loaded, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)

    with run_server(command) as (process, _, _):
        assert has_mapped(process, "libjemalloc") == loaded


@pytest.mark.parametrize(
    ("variable", "value"), [("LACUNA_PROT", "1"), ("LACUNA_LIMITS__BODY_BYTES", "many")]
)
def test_a_wrong_variable_stops_the_start_in_one_line(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    result = CliRunner().invoke(main, ["serve"])

    assert result.exit_code == 1
    assert variable in result.stderr
    assert "Traceback" not in result.stderr


def test_a_server_that_asks_for_no_key_says_so_where_others_reach_it():
    with run_server(LACUNA_HOST="0.0.0.0") as (_, _, lines):  # noqa: S104 (for a moment)
        warnings = [line["message"] for line in lines if line["level"] == "WARNING"]

    assert len(warnings) == 1
    assert warnings[0].startswith("EVERYBODY")


def test_a_file_of_keys_that_is_not_there_stops_the_start_in_one_line(tmp_path):
    code = "from lacuna.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "serve", "--api-keys-file", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "LACUNA_API_KEYS_FILE must name a file that can be read" in result.stderr
    assert "Traceback" not in result.stderr


def start(*options, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", "from lacuna.cli import main; main()", "serve", *options],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_to_end(*options, **variables):
    """Run a server that must not start; give its exit status and the only line that it writes."""
    with start(*options, **variables) as process:
        try:
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert output == ""
    (line,) = errors.splitlines()
    return process.returncode, line


def test_a_repository_that_is_not_there_ends_the_start_with_the_reason(tmp_path):
    folder = tmp_path / "nope"

    status, line = run_to_end("--port", "0", "--model-repository", str(folder))

    assert status == 1
    assert f"must be a folder that can be read; {folder}: No such file or directory" in line


def test_a_taken_port_ends_the_start_in_one_line_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, line = run_to_end("--port", str(port))
        apart = run_to_end("--port", "0", "--metrics-port", str(port))
        rpc = run_to_end("--port", "0", "--grpc-port", str(port))

    assert status == apart[0] == rpc[0] == 1
    assert f"port {port} of 127.0.0.1 is in use" in line
    assert "choose another port with LACUNA_PORT or --port" in line
    assert "choose another port with LACUNA_METRICS_PORT or --metrics-port" in apart[1]
    assert "choose another port with LACUNA_GRPC_PORT or --grpc-port" in rpc[1]


def test_a_server_starts_beside_a_kubernetes_service_of_its_name():
    injected = {"LACUNA_SERVICE_HOST": "10.96.0.12", "LACUNA_PORT": "tcp://10.96.0.12:8000"}
    with run_server(**injected, LACUNA_LOG_LEVEL="debug") as (process, _, lines):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    (line,) = [line for line in lines if "variables" in line]
    assert (line["level"], line["variables"]) == ("DEBUG", sorted(injected))


def interrupt_while_loading(folder):
    """Interrupt a server that loads a model; return its log, and how long it took to end."""
    with run_server(LACUNA_CACHE_FOLDER=str(folder)) as (process, _, lines):
        for line in process.stderr:
            lines.append(json.loads(line))
            if lines[-1]["message"] == "model loading":
                break
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        lines += [json.loads(line) for line in process.stderr]
        assert process.wait(20) == 0
        return lines, time.monotonic() - began_s


def test_an_interruption_while_a_model_loads_ends_the_server_at_once_and_in_silence(tmp_path):
    for attempt in range(3):  # whatever else the machine does can only add to the time
        lines, took_s = interrupt_while_loading(tmp_path / str(attempt))
        assert {line["level"] for line in lines} == {"INFO"}
        assert "model ready" not in {line["message"] for line in lines}
        if took_s < CLOSING_S:
            break

    assert took_s < CLOSING_S


def has_mapped(process, library):
    return library in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_an_interruption_before_the_server_listens_is_silent():
    with start("--port", "0") as process:
        try:
            assert wait_until(lambda: has_mapped(process, "pydantic_core"))
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()

    assert (output, errors) == ("", "")
    assert process.returncode == 128 + signal.SIGINT


def test_help_teaches_with_examples():
    result = CliRunner().invoke(main, ["serve", "--help"])

    assert result.exit_code == 0
    assert "curl -F image=@scene.png" in result.stdout
    assert "LACUNA_HOST" in result.stdout
