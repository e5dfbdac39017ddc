"""A server of a fake model in a process of its own: `lacuna serve` without TensorFlow."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class FakeServer(NamedTuple):
    """A running server."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024


@contextmanager
def run_fake_server(
    folder: Path,
    call_s: float = 0.005,
    pixel_s: float = 0.0,
    *,
    port: int = 0,
    file_bytes: int | None = None,
    **variables: object,
) -> Iterator[FakeServer]:
    """Start a server and give it once it is ready.

    Args:
        folder: for its repository, its cache and its log.
        call_s: that a call of the model takes.
        pixel_s: that it takes for each pixel more.
        port: to listen on; 0 for any free one.
        file_bytes: beyond which no file of its own may grow, its log neither.
        **variables: settings, without their prefix.
    """
    (folder / "models" / "fake" / "1").mkdir(parents=True, exist_ok=True)
    settings = {
        "PORT": port,
        "MODEL_REPOSITORY": folder / "models",
        "CACHE_FOLDER": folder / "cache",
        "ENGINE__WORKERS": 1,
        "ENGINE__WARMUP_PIXELS": 4096,
        "ENGINE__WINDOW_PIXELS": 65536,
        "BATCH__MAX_PIXELS": 4096,
    }
    environment = {name: value for name, value in os.environ.items() if "LACUNA_" not in name}
    for name, value in (settings | variables).items():
        environment[f"LACUNA_{name}"] = str(value)
    arguments = [str(call_s), str(pixel_s), str("" if file_bytes is None else file_bytes)]
    command = [sys.executable, "-m", "tests.support.fake_server", *arguments]
    path = folder / "log"
    with (
        path.open("ab") as log,
        subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        assert process.stdout is not None
        try:
            address = process.stdout.readline().decode().strip()
            assert address, f"the server must become ready: {path.read_text()[-2000:]}"
            yield FakeServer(process, address, path)
        finally:
            process.kill()


def main(call_s: str, pixel_s: str, file_bytes: str) -> None:
    """Serve until a signal, as `lacuna serve` does."""
    from service.assembly import assemble_services, make_server  # noqa: PLC0415
    from service.config import read_settings  # noqa: PLC0415
    from service.logs import configure_logging  # noqa: PLC0415
    from tests.support.live import tell_address  # noqa: PLC0415
    from tests.support.runtimes import Timed  # noqa: PLC0415

    if file_bytes:
        # No file may grow beyond: to whoever writes it is as if the disk were full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    settings = read_settings()
    configure_logging("json")
    services = assemble_services(
        settings, lambda folder, allocation: Timed(float(call_s), float(pixel_s))
    )
    server = make_server(settings, services, end=os._exit)
    tell_address(server)
    server.run()
    sys.exit(int(server.has_cut_off))


if __name__ == "__main__":
    main(*sys.argv[1:])
