"""Driving the page as a person does, and reading what it shows."""

from __future__ import annotations

import base64
import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
from playwright.sync_api import Page, expect

from tests.support.apps import encode_image

ROOT = Path(__file__).parents[2]


@contextmanager
def run_server(folder: Path, *options: str) -> Iterator[RunningServer]:
    """Run a server in a process of its own until the context is left."""
    command = [sys.executable, "-m", "tests.page.server", str(folder), *options]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, "the server did not start"
            yield RunningServer(f"http://{address}", process, folder)
        finally:
            process.kill()


class RunningServer:
    """A server, and what a test knows of it without the page."""

    def __init__(self, url: str, process: subprocess.Popen[str], folder: Path) -> None:
        self.url = url
        self.process = process
        self._hold = folder / "hold"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no call of a model end until the context is left."""
        with self._hold.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def segment(self, image: bytes, mask: bytes | None = None, **fields: str) -> Any:
        """Ask for labels without the page."""
        return np.load(io.BytesIO(self.ask("application/x-npy", image, mask, fields).content))

    def summarize(self, image: bytes, mask: bytes | None = None, **fields: str) -> Any:
        return self.ask("application/json", image, mask, fields).json()

    def ask(self, accept: str, image: bytes, mask: bytes | None, fields: dict[str, str]) -> Any:
        files = {"image": image} | ({} if mask is None else {"mask": mask})
        fields = {"model": "three"} | fields
        answer = httpx2.post(
            f"{self.url}/v1/segment",
            files=files,
            data=fields,
            headers={"Accept": accept},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer


class Visit:
    """The page, opened."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(20_000)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._look)

    def _note(self, message: Any) -> None:
        # Reading a canvas is what the tests do, not the page.
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:
            self.faults.append(message.text)

    def _look(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(self.url).netloc:
            self.foreign.append(request.url)

    def forgive(self, text: str) -> None:
        """Take away faults that a browser reports whatever a page does."""
        self.faults = [fault for fault in self.faults if text not in fault]

    def open(self) -> Visit:
        self.page.goto(self.url)
        expect(self.page.locator("#health")).to_have_text("ready")
        expect(self.page.locator("#first-samples img")).to_have_count(4)
        return self

    def choose(self, image: bytes, name: str = "image.png", kind: str = "image/png") -> None:
        self.page.set_input_files(
            "#image-file", [{"name": name, "mimeType": kind, "buffer": image}]
        )
        expect(self.page.locator("#image-name")).to_have_text(name)

    def choose_mask(self, mask: bytes, name: str = "mask.png") -> None:
        self.page.set_input_files(
            "#mask-file", [{"name": name, "mimeType": "image/png", "buffer": mask}]
        )

    def run(self) -> None:
        self.page.click("#run")
        self.await_result()

    def await_result(self) -> None:
        expect(self.page.locator("#result")).to_be_visible()
        expect(self.page.locator("#run")).to_be_enabled()

    def stretch(self, *, on: bool = True) -> None:
        """Let the values be stretched, and wait for the picture of that."""
        self.page.set_checked("#stretch", on)
        self.await_drawn()

    def await_drawn(self) -> None:
        expect(self.page.locator("#frame")).to_have_attribute("aria-busy", "false")

    def show_actual(self) -> None:
        """One pixel of the picture on one of the screen."""
        self.page.click("#zoom-actual")

    def take_tool(self, name: str) -> None:
        self.page.check(f"input[name=tool][value={name}]", force=True)

    def restore(self) -> None:
        self.page.check("input[name=marks][value=restore]", force=True)

    def locate(self, x: float, y: float) -> tuple[float, float]:
        """Give where on the screen a place of the picture is, which is shown pixel by pixel."""
        width, height = self.page.evaluate(
            """() => {
                const {width, height} = document.getElementById("picture");
                return [width, height];
            }"""
        )
        box = self.page.locator("#picture").bounding_box()
        assert box
        size = self.page.locator("#readout-size").inner_text().replace(",", "").split(" × ")
        picture = [int(side) for side in size]
        corner = _half(width - picture[0]), _half(height - picture[1])
        return box["x"] + corner[0] + x, box["y"] + corner[1] + y

    def drag(self, *places: tuple[float, float]) -> None:
        first, *others = [self.locate(*place) for place in places]
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.locate(x, y))

    def read_canvas(self, width: int, height: int) -> Any:
        """Read a picture of this size off the canvas, where it is shown pixel by pixel."""
        encoded = self.page.evaluate(
            """([width, height]) => new Promise((resolve) => {
                // After what was asked for is drawn.
                requestAnimationFrame(() => requestAnimationFrame(() => {
                    const canvas = document.getElementById("picture");
                    const left = Math.round((canvas.width - width) / 2);
                    const top = Math.round((canvas.height - height) / 2);
                    const {data} = canvas.getContext("2d").getImageData(left, top, width, height);
                    let text = "";
                    for (let at = 0; at < data.length; at += 8192) {
                        text += String.fromCharCode(...data.subarray(at, at + 8192));
                    }
                    resolve(btoa(text));
                }));
            })""",
            [width, height],
        )
        flat = np.frombuffer(base64.b64decode(encoded), np.uint8)
        return flat.reshape(height, width, 4)[:, :, :3]

    def download(self, kind: str) -> bytes:
        with self.page.expect_download() as download:
            self.page.click(f"[data-download={kind}]")
        return Path(download.value.path()).read_bytes()

    def read_missing(self) -> int:
        text = self.page.locator("#missing").inner_text()
        return int(text.split(" px")[0].replace(",", ""))

    def read_mask(self) -> Any:
        """Give the mask as it is sent, bool, True = valid."""
        from PIL import Image  # noqa: PLC0415

        return np.asarray(Image.open(io.BytesIO(self.download("mask"))).convert("L")) > 0

    def read_module(self, name: str, call: str, *given: Any) -> Any:
        """Call what a module of the page exports."""
        return self.page.evaluate(
            "([name, call, given]) => import(`/static/${name}.js`)"
            ".then((module) => module[call](...given))",
            [name, call, list(given)],
        )


def _half(length: int) -> int:
    return (length + 1) // 2  # JavaScript rounds halves up


def draw_scene(height: int = 48, width: int = 64, seed: int = 0) -> Any:
    """Draw a picture of blotches in all three brightnesses."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    scene = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return np.clip(scene + rng.integers(-20, 20, scene.shape), 0, 255).astype(np.uint8)


def draw_mask(height: int = 48, width: int = 64) -> Any:
    mask = np.full((height, width), 255, np.uint8)
    mask[10:30, 20:50] = 0
    mask[:, 5] = 0
    return mask


IMAGE = encode_image(draw_scene())
MASK = encode_image(draw_mask())
