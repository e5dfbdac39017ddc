"""The server on Ray Serve as `deploy/ray/serve.yaml` has it, in a process of its own.

    python -m tests.support.ray_serving <address of the cluster>

It prints the port. For a line `count` on its standard input it prints the number of replicas that
run; for `delete` it removes the application and says so. It ends with its input.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.ray_nodes import ROOT, read_answer, run_module

CONFIG = ROOT / "deploy" / "ray" / "serve.yaml"


class RayServer:
    """Server on Ray Serve.

    Attributes:
        address: host and port.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = f"127.0.0.1:{read_answer(process)}"

    def count_replicas(self) -> int:
        """Return the number of replicas that run."""
        self._say("count")
        return int(read_answer(self._process))

    def begin_delete(self) -> None:
        """Begin to remove the application."""
        self._say("delete")

    def finish_delete(self) -> None:
        """Wait until the application is removed."""
        assert read_answer(self._process) == "deleted"

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextmanager
def serve_on_ray(address: str, log: Path) -> Iterator[RayServer]:
    """Serve on a cluster; what Ray says goes to a file."""
    with log.open("w") as said, run_module("ray_serving", address, said) as process:
        yield RayServer(process)


def read_options(config: Path = CONFIG) -> dict[str, Any]:
    """Return the options of the deployment in a configuration file."""
    (application,) = yaml.safe_load(config.read_text())["applications"]
    (options,) = application["deployments"]
    return dict(options)


def _main(address: str) -> None:
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    from service.cluster.serving import LacunaReplica  # noqa: PLC0415

    options = read_options()
    # Decided at once, and by what is there now.
    options["autoscaling_config"] |= {
        "upscale_delay_s": 0.5, "metrics_interval_s": 1, "look_back_period_s": 2, "max_replicas": 2,
    }  # fmt: skip
    ray.init(address, logging_level=logging.ERROR)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(serve.deployment(**options)(LacunaReplica).bind(), name="lacuna", route_prefix="/")
    print(f"> {port}", flush=True)  # noqa: T201
    for line in sys.stdin:
        if line.strip() == "count":
            states = serve.status().applications["lacuna"].deployments["lacuna"].replica_states
            print(f"> {states.get('RUNNING', 0)}", flush=True)  # noqa: T201
        else:
            serve.delete("lacuna")
            print("> deleted", flush=True)  # noqa: T201
    serve.shutdown()


if __name__ == "__main__":
    _main(sys.argv[1])
