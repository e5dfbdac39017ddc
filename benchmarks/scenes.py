"""A scene of 20,000 × 20,000 pixels: time against the engine alone, memory, and interruptions.

    python benchmarks/scenes.py [--side 20000] [--valid 0.3] [--kills 2] [--rows FILE]

The scene is a sparse, tiled, deflated GeoTIFF of three bands with swaths and clouds of missing
pixels. It is segmented by `lacuna segment` in a process of its own, whose resident memory is read
while it runs. The engine alone segments the same windows from memory. With kills, the process is
killed at random and continued, and the bytes of the result are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin
from rasterio.windows import Window as GdalWindow
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row, write_rows
from lacuna.geo.source import open_raster
from lacuna.sample import Sample
from lacuna.scenes.grid_windows import choose_side, plan_tiles
from lacuna.scenes.reading import SceneReader
from lacuna.windows.window import Tile
from service.cli.scene_local import open_runner
from service.local.windows import LocalRunner
from service.platforms import DEMO_REPOSITORY

MODEL = "groundcover"
_SAMPLES = DEMO_REPOSITORY.parent / "samples" / MODEL
_BLOCK = 512
_POLL_S = 0.05
_RATIO = 1.15


def main() -> None:
    """Run the benchmark and print a table, or run the engine alone on a scene and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--valid", type=float, nargs="+", default=[0.3])
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--rows", type=Path, help="file to write the figures for the record to")
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(asyncio.run(time_engine(options.engine))))
        return
    rows = []
    for valid in options.valid:
        with tempfile.TemporaryDirectory() as name:
            ratio = compare(Path(name), options.side, valid, options.kills)
        title = f"scene of {options.side}², {100 * valid:.0f} % valid: time / engine alone"
        rows.append(Row(f"S{valid:.2f}", title, ratio, _RATIO, is_limit=True))
    if options.rows:
        write_rows(options.rows, rows)


def compare(folder: Path, side: int, valid: float, kills: int) -> float:
    """Write a scene, and segment it in all ways; return its time / that of the engine alone."""
    scene = folder / "scene.tif"
    valid = write_scene(scene, side, valid)
    engine = watch(start_engine(scene))
    whole = watch(start(scene, folder / "labels.tif"))
    seconds = whole.seconds - watch(start(make_empty(folder), folder / "nothing.tif")).seconds
    alone_s, windows, window_bytes = json.loads(engine.output)
    ratio: float = seconds / alone_s
    engine_bytes = engine.peak_bytes - window_bytes
    table = Table(f"{side}², {100 * valid:.0f} % valid", "", box=None)
    table.add_row("windows with data", f"{windows}")
    table.add_row("engine alone, windows in memory", f"{alone_s:.1f} s")
    table.add_row(
        "scene, without the start", f"{seconds:.1f} s, {side**2 / seconds / 1e6:.1f} MP/s"
    )
    table.add_row("ratio", f"{ratio:.3f}")
    table.add_row("memory of the engine, without the windows", f"{engine_bytes / 2**20:.0f} MiB")
    table.add_row("memory beyond it", f"{(whole.peak_bytes - engine_bytes) / 2**20:.0f} MiB")
    if kills:
        run_with_kills(scene, folder / "again.tif", kills, seconds)
        same = digest(folder / "again.tif") == digest(folder / "labels.tif")
        table.add_row(f"killed {kills} times, same bytes", str(same))
    Console().print(table)
    return ratio


def write_scene(path: Path, side: int, valid: float) -> float:
    """Write a scene, block by block.

    Args:
        path: GeoTIFF to write.
        side: height and width in pixels.
        valid: about which part of it is valid.

    Returns:
        The valid part.
    """
    with Image.open(_SAMPLES / "swath.png") as picture:
        texture = np.array(picture.convert("RGB")).clip(1, None)
    clouds = np.random.default_rng(0).random((side // 400 + 2, side // 400 + 2)) < 0.8
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": side,
        "width": side,
        "nodata": 0,
        "crs": "EPSG:32632",
        "transform": from_origin(400_000, 5_300_000, 10, 10),
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "interleave": "pixel",
        "SPARSE_OK": True,
    }
    total = 0
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, side, _BLOCK):
            for left in range(0, side, _BLOCK):
                height, width = min(_BLOCK, side - top), min(_BLOCK, side - left)
                rows, columns = np.arange(top, top + height)[:, None], np.arange(left, left + width)
                mask = is_valid(rows, columns, side, valid / 0.8) & look_up(clouds, rows, columns)
                if mask.any():
                    image = texture[rows % texture.shape[0], columns % texture.shape[1]]
                    window = GdalWindow(left, top, width, height)
                    file.write(np.moveaxis(image * mask[:, :, None], 2, 0), window=window)
                    total += int(mask.sum())
    return total / side**2


def is_valid(
    rows: NDArray[np.int64], columns: NDArray[np.int64], side: int, part: float
) -> NDArray[np.bool_]:
    """Return the pixels of rotated swaths, (H, W)."""
    across = columns * 0.97 + rows * 0.26
    return np.asarray(across % (side / 3) < part * side / 3)


def look_up(
    clouds: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return the pixels without clouds, (H, W)."""
    wave = (60 * np.sin(rows / 70) + 60 * np.cos(columns / 50)).astype(np.int64)
    return np.asarray(clouds[(rows + wave).clip(0) // 400, (columns + wave).clip(0) // 400])


async def time_engine(scene: Path) -> tuple[float, int, int]:
    """Return the seconds that the engine alone takes for windows, their number, and their bytes.

    Args:
        scene: scene that they are read from, before the time begins.
    """
    async with open_runner(None, MODEL, None) as runner:
        with open_raster(scene) as source:
            reader = SceneReader(source, None, runner.model)
            side = choose_side(runner.model, *source.grid.size)
            samples = [
                (tile, sample)
                for part in reader.part_columns(side)
                for tile in plan_tiles(*source.grid.size, side, runner.model.halo, part)
                if (sample := reader.read(tile, part))
            ]
        await segment_all(runner, samples[:4])
        began_s = time.perf_counter()
        await segment_all(runner, samples)
        seconds = time.perf_counter() - began_s
        window_bytes = sum(sample.image.nbytes + sample.mask.nbytes for _, sample in samples)
        return seconds, len(samples), window_bytes


async def segment_all(runner: LocalRunner, samples: list[tuple[Tile, Sample]]) -> None:
    """Segment windows, as many at a time as a scene does."""
    seats = asyncio.Semaphore(runner.concurrency)

    async def segment(tile: Tile, sample: Sample) -> None:
        async with seats:
            keep = tile.output.move(-tile.input.top, -tile.input.left)
            await runner.segment(sample, keep, probabilities=False)

    await asyncio.gather(*(segment(tile, sample) for tile, sample in samples))


class Watched(NamedTuple):
    """A process that has ended: its seconds, the peak of its resident memory, and its output."""

    seconds: float
    peak_bytes: int
    output: str


def start(scene: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    """Start `lacuna segment`."""
    code = "from lacuna.cli import main; main()"
    files = (str(scene), "-o", str(output), "--model", MODEL)
    return start_python("-c", code, "segment", *files, *options)


def start_engine(scene: Path) -> subprocess.Popen[str]:
    """Start the engine alone."""
    return start_python(__file__, "--engine", str(scene))


def start_python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python."""
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own)


def make_empty(folder: Path) -> Path:
    """Write a scene without data, whose run takes what starting takes."""
    empty = folder / "empty.tif"
    write_scene(empty, _BLOCK, 0.0)
    return empty


def watch(process: subprocess.Popen[str]) -> Watched:
    """Watch a process until it ends."""
    began_s, peak_bytes = time.perf_counter(), 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        peak_bytes = max(peak_bytes, int(lines.get("VmRSS", "0 kB").split()[0]) * 1024)
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - began_s
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a process must succeed; it ended with {process.returncode}")
    return Watched(seconds, peak_bytes, output)


def run_with_kills(scene: Path, output: Path, kills: int, seconds: float) -> None:
    """Segment a scene, killed at random moments and continued."""
    for _ in range(kills):
        process = start(scene, output, "--resume")
        time.sleep(random.uniform(0.2, 0.8) * seconds / kills)  # noqa: S311
        process.send_signal(signal.SIGKILL)
        process.wait()
    watch(start(scene, output, "--resume"))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
