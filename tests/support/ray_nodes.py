"""A Ray cluster of several nodes on this machine, in a process of its own.

    python -m tests.support.ray_nodes <nodes>

The head has no CPU for work, and each node has one. The process prints the address, removes a node
for each line `kill` on its standard input, and ends the cluster when the input ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
_STORE_BYTES = 256 << 20
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # One of the demo's models is enough for a server on the cluster.
    "LACUNA_MODELS": "groundcover",
    # The machine may be busy.
    "RAY_raylet_start_wait_time_s": "180",
}


class EndedError(Exception):
    """Process that has ended before it answered."""


class RayNodes:
    """Cluster whose nodes can be killed.

    Attributes:
        address: address of its head.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = read_answer(process)

    def kill_node(self) -> None:
        """Kill a node with all its processes."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        assert read_answer(self._process) == "killed"


def read_answer(process: subprocess.Popen[str]) -> str:
    """Read the next answer of a process, among what Ray prints."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("> "):
            return line[2:].strip()
    raise EndedError("the process must answer; it has ended")


def make_environment() -> dict[str, str]:
    """Make the environment of processes on a cluster that import from this repository."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}


@contextmanager
def run_module(name: str, argument: str, said: TextIO) -> Iterator[subprocess.Popen[str]]:
    """Run a module that works on a cluster until its standard input ends.

    Args:
        name: name of the module in this package.
        argument: its argument.
        said: file of its standard error.
    """
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.support.{name}", argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env=make_environment(),
        cwd=ROOT,
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(90)


@contextmanager
def run_nodes(count: int) -> Iterator[RayNodes]:
    """Run a cluster of nodes with a CPU each."""
    with (
        tempfile.TemporaryFile("w+") as said,
        run_module("ray_nodes", str(count), said) as process,
    ):
        try:
            yield RayNodes(process)
        except EndedError as error:
            said.seek(0)
            error.add_note(said.read())
            raise


def _main(count: int) -> None:
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        },
    )
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES) for _ in range(count)]
    print(f"> {cluster.address}", flush=True)  # noqa: T201
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("> killed", flush=True)  # noqa: T201
    cluster.shutdown()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
