"""A scene over two Ray nodes of a CPU each, against one of them and against this machine.

    python benchmarks/ray_nodes.py [--side 6000] [--valid 0.8]

It starts a cluster on this machine, whose head has no CPU for work. The model is loaded before the
time begins. The share of the driver is the processor time of this process: it reads windows, sends
them, and writes what comes back. The bytes of all results are compared. The machine must be quiet:
driver, workers and Ray's own processes share its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.scenes import MODEL, digest, write_scene
from lacuna.plugins import ClusterOptions
from lacuna.scenes.runner import SceneRunner
from lacuna.scenes.scene import run_scene
from lacuna.scenes.task import SceneTask
from service.cli.scene_local import open_runner
from service.cluster.model_workers import open_workers
from service.cluster.scenes import ClusterRunner
from tests.support.ray_nodes import run_nodes


class Timing(NamedTuple):
    """Seconds of a run: of its windows, of all, and of this process on a processor."""

    windows_s: float
    all_s: float
    driver_s: float


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=6000)
    parser.add_argument("--valid", type=float, default=0.8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = folder / "scene.tif"
        valid = write_scene(scene, options.side, options.valid)
        with run_nodes(2) as nodes:
            one = asyncio.run(time_cluster(nodes.address, scene, folder / "one.tif", 1))
            two = asyncio.run(time_cluster(nodes.address, scene, folder / "two.tif", 2))
        here = asyncio.run(time_local(scene, folder / "here.tif"))
        outputs = [digest(folder / f"{name}.tif") for name in ("one", "two", "here")]
    table = Table(f"{options.side}², {valid:.0%} valid", "windows", "all", "driver", box=None)
    for title, timing in (("1 node", one), ("2 nodes", two), ("this machine", here)):
        share = timing.driver_s / timing.all_s
        table.add_row(
            title, f"{timing.windows_s:.1f} s", f"{timing.all_s:.1f} s", f"{share:.1%} of a core"
        )
    table.add_row(
        "1 node / 2 nodes", f"{one.windows_s / two.windows_s:.2f}", f"{one.all_s / two.all_s:.2f}"
    )
    Console().print(table)
    print("same bytes:", len(set(outputs)) == 1)


async def time_cluster(address: str, scene: Path, output: Path, workers: int) -> Timing:
    """Segment a scene on a cluster.

    Args:
        address: of the cluster.
        scene: raster.
        output: GeoTIFF of the labels.
        workers: CPUs to use.
    """
    async with open_workers(ClusterOptions(address, workers), None, MODEL, None) as opened:
        await opened.pool.wait_for_workers(workers)
        return await time_scene(ClusterRunner(opened), scene, output)


async def time_local(scene: Path, output: Path) -> Timing:
    """Segment a scene with the engine of this process, on all cores."""
    async with open_runner(None, MODEL, None) as runner:
        return await time_scene(runner, scene, output)


async def time_scene(runner: SceneRunner, scene: Path, output: Path) -> Timing:
    """Segment a scene."""
    began_s, driver_s = time.perf_counter(), time.process_time()
    last_s = began_s

    def note(_: object) -> None:
        nonlocal last_s
        last_s = time.perf_counter()

    await run_scene(SceneTask(scene, output), runner, note)
    now_s = time.perf_counter()
    return Timing(last_s - began_s, now_s - began_s, time.process_time() - driver_s)


if __name__ == "__main__":
    main()
