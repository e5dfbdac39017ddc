"""Processes that a benchmark compares: a server, and a plain loop."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx2
import numpy as np

from lacuna.raster.npy import write_npy
from service.bench.workload import Workload

_RAW_LOOP = Path(__file__).with_name("raw_loop.py")
_COMMAND = Path(sys.executable).with_name("lacuna")
"""The command as users have it: called in another way, it would not load jemalloc."""

_READY_S = 600.0
_LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class RawLoop:
    """Plain loop in a process of its own.

    Args:
        process: process that runs `raw_loop.py`.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()

    def draw(self, name: str, workload: Workload) -> None:
        """Draw the images of a workload."""
        content = dataclasses.asdict(workload)
        content["sizes"] = [(sizes.low, sizes.high) for sizes in workload.sizes]
        self._do("draw", name=name, workload=content)

    def forget(self, name: str) -> None:
        """Forget the images of a workload."""
        self._do("forget", name=name)

    def answer(self, name: str) -> list[bytes]:
        """Return the labels of each image, run alone and whole, as NPY files."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labels.npz"
            self._do("answer", name=name, path=str(path))
            with np.load(path) as content:
                return [write_npy(content[key]) for key in content.files]

    def warm(self, name: str, batch: int) -> None:
        """Run every shape once."""
        self._do("warm", name=name, batch=batch)

    def measure(
        self, name: str, workers: int, batch: int, seconds: float, warmup_s: float
    ) -> dict[str, float]:
        """Run images in turn for some seconds; return throughput and call times."""
        answer: dict[str, float] = self._do(
            "measure", name=name, workers=workers, batch=batch, seconds=seconds, warmup_s=warmup_s
        )
        return answer

    def time_square(self, side: int, channels: int, calls: int = 5) -> float:
        """Return the seconds that a call with one square image takes."""
        answer = self._do("time_square", side=side, channels=channels, calls=calls)
        return float(answer["median_s"])

    def _do(self, command: str, **members: Any) -> Any:
        stdin = _opened(self._process.stdin)
        stdin.write(json.dumps({"do": command, **members}) + "\n")
        stdin.flush()
        return self._read()

    def _read(self) -> Any:
        line = _opened(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"the raw loop must answer; it ended with {self._process.wait()}")
        return json.loads(line)


@contextlib.contextmanager
def start_raw_loop(folder: Path, threads: int) -> Iterator[RawLoop]:
    """Start a plain loop, and end it afterwards.

    Args:
        folder: folder of the SavedModel.
        threads: number of TensorFlow threads for a call.
    """
    with subprocess.Popen(  # noqa: S603 (our own file)
        [sys.executable, str(_RAW_LOOP), str(folder), str(threads)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield RawLoop(process)
        finally:
            process.kill()


@contextlib.contextmanager
def start_server(folder: Path, precision: str = "float32") -> Iterator[httpx2.URL]:
    """Start `lacuna serve` on a free port, wait until it is ready, and end it afterwards.

    The settings are the defaults, except for the precision, and for two: large images are accepted,
    and no request is refused for a long queue, however slow the machine. The environment overrides
    all of them.

    Args:
        folder: `<repository>/<model>/<version>`.
        precision: precision of the model's arithmetic.
    """
    settings = {
        "LACUNA_LIMITS__IMAGE_PIXELS": str(4096 * 4096),
        "LACUNA_ADMISSION__MAX_WAIT_S": "600",
        "LACUNA_ENGINE__PRECISION": precision,
        **os.environ,
        "LACUNA_PORT": "0",
        "LACUNA_LOG_FORMAT": "json",
        "LACUNA_MODEL_REPOSITORY": str(folder.parents[1]),
        "LACUNA_MODELS": folder.parent.name,
    }
    command = [str(_COMMAND), "serve"]
    with (
        tempfile.NamedTemporaryFile("r", prefix="lacuna-", suffix=".log") as log,
        subprocess.Popen(  # noqa: S603 (our own command)
            command, env=settings, stdout=log.fileno(), stderr=log.fileno()
        ) as process,
    ):
        try:
            yield _wait_until_ready(process, Path(log.name))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> httpx2.URL:
    deadline_s = time.monotonic() + _READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        found = _LISTENS.search(log.read_text())
        if found and _is_ready(int(found[1])):
            return httpx2.URL(found[0])
        time.sleep(0.2)
    tail = "".join(log.read_text().splitlines(keepends=True)[-20:])
    raise RuntimeError(f"the server must become ready; it did not:\n{tail}")


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _opened(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the raw loop must have been started with pipes")
    return stream
