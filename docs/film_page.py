"""Films the page for the README, and writes the answer that its first screen shows.

python docs/film_page.py
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
MODEL = "aerial"
SAMPLES = ROOT / "service" / "demo" / "samples" / MODEL
ANSWER = ROOT / "service" / "web" / "static" / "showcase.json"
OUTPUT = Path(__file__).parent / "pictures" / "page.gif"

ADDRESS = "http://127.0.0.1:8765"
SIZE = {"width": 1000, "height": 640}
SCALE = 0.8
"""Pixels of a frame for one of the page."""

COLORS = 255
START_S = 120
ARROW = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12))
FLAGS = ["--no-sandbox", "--disable-gpu"]


@contextmanager
def run_server() -> Iterator[None]:
    """Serve the demo until the context is left."""
    options = ["--port", ADDRESS.rpartition(":")[2]]
    with tempfile.TemporaryFile() as log:
        start = "from lacuna.cli import main; main()"
        command = [sys.executable, "-c", start, "serve", *options]
        with subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:  # noqa: S603 (our own command)
            try:
                wait_until_ready(process)
                yield
            finally:
                process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until the models of the server are ready."""
    for _ in range(START_S):
        if process.poll() is not None:
            raise RuntimeError(f"the server must start; it ended with status {process.returncode}")
        try:
            if httpx2.get(f"{ADDRESS}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(1)
    raise RuntimeError(f"the server must be ready within {START_S} s; it is not")


def write_answer() -> None:
    """Write the model's answer to its sample `clouds`, without what differs from run to run."""
    files = {
        "image": (SAMPLES / "clouds.png").read_bytes(),
        "mask": (SAMPLES / "clouds-mask.png").read_bytes(),
    }
    options = {"files": files, "data": {"model": MODEL}, "timeout": 60}
    answer = httpx2.post(f"{ADDRESS}/v1/segment", **options).raise_for_status().json()
    del answer["timings_ms"]
    ANSWER.write_text(json.dumps(answer) + "\n")


class Film:
    """Frames of the page, with the pointer drawn on them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations_ms: list[int] = []
        self._pointer = (SIZE["width"] * 0.7, SIZE["height"] * 0.8)

    def hold(self, duration_ms: int) -> None:
        """Take a frame that is shown for so long."""
        self.page.wait_for_timeout(150)
        frame = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        x, y = (SCALE * place for place in self._pointer)
        arrow = [(x + dx, y + dy) for dx, dy in ARROW]
        ImageDraw.Draw(frame).polygon(arrow, fill="black", outline="white")
        self.frames.append(frame)
        self.durations_ms.append(duration_ms)

    def point(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """Move the pointer to a place of an element, in parts of its sides."""
        element = self.page.locator(selector)
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        if box is None:
            raise RuntimeError(f"{selector} must be seen; it is not")
        self._pointer = (box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
        self.page.mouse.move(*self._pointer)

    def click(self, selector: str) -> None:
        """Click an element, one frame before it acts."""
        self.point(selector)
        self.hold(700)
        self.page.click(selector)

    def swipe(self, frame: str, slider: str, places: tuple[int, ...]) -> None:
        """Move a divider over a picture."""
        for place in places:
            self.page.fill(slider, str(place))
            self.point(frame, (place / 100, 0.5))
            self.hold(140)

    def save(self, path: Path) -> None:
        """Write an animation that repeats."""
        # All frames share one palette, so that only what changes between them is stored.
        small = [frame.reduce(3) for frame in self.frames]
        palette = Image.new("RGB", (small[0].width, small[0].height * len(small)))
        for row, frame in enumerate(small):
            palette.paste(frame, (0, row * frame.height))
        colors = palette.quantize(COLORS, dither=Image.Dither.NONE)
        first, *others = [
            frame.quantize(palette=colors, dither=Image.Dither.NONE) for frame in self.frames
        ]
        first.save(
            path, save_all=True, append_images=others, duration=self.durations_ms, loop=0,
            optimize=True,
        )  # fmt: skip


def film(page: Page) -> Film:
    """Film what a person sees who tries a sample."""
    film = Film(page)
    page.goto(ADDRESS)
    page.wait_for_selector("#first-samples img")
    page.wait_for_selector("#showcase:not([hidden])")
    film.hold(1500)
    film.swipe("#showcase-frame", "#showcase-split", (35, 20, 35, 50, 65, 80, 65, 50))
    film.click("#first-samples .sample >> nth=0")
    page.wait_for_selector("#run:focus")
    film.hold(900)
    film.click("#run")
    page.wait_for_selector("#result:not([hidden])")
    page.wait_for_selector("#run:enabled")
    film.hold(1800)
    film.point("#layer")
    film.hold(500)
    page.select_option("#layer", label="Confidence")
    page.wait_for_selector("#scale:not([hidden])")
    film.hold(1800)
    page.select_option("#layer", label="Labels")
    film.click("#prove")
    page.wait_for_selector("#verdict[data-kind=kept]")
    film.hold(3500)
    return film


def main() -> None:
    """Write the film and the answer."""
    with run_server(), sync_playwright() as playwright:
        write_answer()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(
            viewport={"width": SIZE["width"], "height": SIZE["height"]},
            device_scale_factor=SCALE,
            reduced_motion="reduce",
        )
        film(page).save(OUTPUT)
        browser.close()


if __name__ == "__main__":
    main()
