"""Draws the figures of the explanations: packages, masking, exact tiles, and the engine.

python docs/draw_figures.py
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import convolve2d

PICTURES = Path(__file__).parent / "pictures"

_STYLE = """
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --page: #ffffff; --text: #1b2330; --soft: #5c6675; --line: #c3cad5;
  --kept: #1d5fd1; --halo: #b9d0f6; }
.page { fill: var(--page); } text { fill: var(--soft); } .middle { text-anchor: middle; }
.title { fill: var(--text); font-weight: 600; } .line { stroke: var(--line); fill: none; }
.arrow { stroke: var(--soft); fill: none; marker-end: url(#end); }
.box { fill: var(--page); stroke: var(--soft); }
.kept { fill: var(--kept); } .halo { fill: var(--halo); }
@media (prefers-color-scheme: dark) {
svg { --page: #12161d; --text: #e6e9ef; --soft: #98a3b3; --line: #3a4453;
  --kept: #4b86e8; --halo: #24406e; }
}
"""
_ARROW = (
    '<defs><marker id="end" markerWidth="6" markerHeight="6" refX="5" refY="3" orient="auto">'
    '<path d="M0 0l6 3l-6 3z" fill="#808894"/></marker></defs>'
)


def draw_masking() -> str:
    """Draw what a mean of 3 × 3 makes of a flat area with a gap, with zeros and with a mask."""
    valid = np.ones((7, 7), bool)
    valid[1:4, 3:6] = False
    image = np.where(valid, 200.0, 0.0)
    kernel = np.ones((3, 3))
    summed = convolve2d(image, kernel, "same")
    count = convolve2d(valid.astype(float), kernel, "same")
    masked = np.divide(summed, count, out=np.zeros_like(summed), where=count > 0)
    panels = [
        ("the image: 200, and a gap", image),
        ("mean of 3 × 3, the gap as zeros", summed / 9),
        ("mean of the valid pixels", masked),
    ]
    parts = [
        part
        for at, (title, values) in enumerate(panels)
        for part in _draw_grid(20 + 250 * at, title, values, valid)
    ]
    return _frame(760, 270, "A flat area with a gap, through two kinds of mean", parts)


def _draw_grid(
    left: int, title: str, values: NDArray[np.float64], valid: NDArray[np.bool_]
) -> Iterator[str]:
    yield _write(left, 24, title, "title")
    for (row, column), value in np.ndenumerate(values):
        x, y = left + 32 * column, 36 + 32 * row
        if not valid[row, column]:
            hatch = f"M{x + 16} {y}l-16 16M{x + 32} {y}l-32 32M{x + 32} {y + 16}l-16 16"
            yield f'<path class="line" d="M{x} {y}h32v32h-32z{hatch}"/>'
            continue
        shade = round(value)
        grey = f"fill:rgb({shade},{shade},{shade})"
        yield f'<rect class="line" style="{grey}" x="{x}" y="{y}" width="32" height="32"/>'
        ink = "#ffffff" if shade < 130 else "#1b2330"
        yield _write(x + 16, y + 20, str(shade), "middle", ink)


def draw_tiles() -> str:
    """Draw a window of a scene, its halo, and the model's grid."""
    cell, columns, rows = 20, 34, 12
    left, top = 20, 36
    middle, end = left + 15 * cell, top + cell * rows
    lines = [f"M{left + cell * at} {top}v{cell * rows}" for at in range(columns + 1)]
    lines += [f"M{left} {top + cell * at}h{cell * columns}" for at in range(rows + 1)]
    parts = [
        _write(left, 24, "A window of a scene, on the grid of the stride", "title"),
        _draw_rect("halo", left + 9 * cell, top + 2 * cell, 12 * cell, 8 * cell),
        _draw_rect("kept", left + 11 * cell, top + 4 * cell, 8 * cell, 4 * cell),
        f'<path class="line" d="{"".join(lines)}"/>',
        _write(middle, top + 3 * cell + 4, "halo: seen, thrown away", "title middle"),
        _write(middle, top + 6 * cell + 4, "kept", "middle", "#ffffff"),
        _write(left, end + 24, "Each cell has the side s, the total stride."),
        _write(left, end + 42, "The halo is the receptive radius r, rounded up to whole cells."),
    ]
    return _frame(720, end + 58, "A window, its halo and the grid", parts)


def draw_architecture() -> str:
    """Draw the packages, and where they meet."""
    boxes = [
        (20, 44, 200, "model/", "layers, training, adoption,", "export"),
        (290, 44, 200, "a model on disk", "SavedModel or ONNX,", "and its manifest"),
        (560, 44, 200, "service/", "engine, HTTP, gRPC, page,", "clusters"),
        (
            20,
            164,
            740,
            "lacuna/",
            "reader of images, validity, windows, scenes, writers;",
            "client, errors",
        ),
        (830, 44, 170, "clients", "Triton's, KServe's,", "TensorFlow Serving's"),
        (830, 164, 170, "people", "Client,", "lacuna segment"),
    ]
    parts = [_write(20, 24, "Packages, and where they meet", "title")]
    for x, y, width, name, first, second in boxes:
        parts.append(_draw_rect("box", x, y, width, 76))
        for at, text in enumerate((name, first, second)):
            style = "middle" if at else "title middle"
            parts.append(_write(x + width // 2, y + (24, 46, 62)[at], text, style))
    arrows = [
        "M220 82h66",
        "M490 82h66",
        "M830 82h-66",
        "M830 202h-66",
        "M120 120v40",
        "M660 120v40",
    ]
    parts += [f'<path class="arrow" d="{arrow}"/>' for arrow in arrows]
    return _frame(1020, 262, "Packages, and where they meet", parts)


def draw_engine() -> str:
    """Draw the way of images through the engine."""
    steps = [
        ("requests", "HTTP, gRPC,", "command line"),
        ("admission", "predicted wait,", "shares, memory"),
        ("decode", "image and mask,", "validity"),
        ("windows", "box of valid", "pixels, cut"),
        ("lanes", "one for each", "model and bucket"),
        ("workers", "a free one takes", "a batch at once"),
        ("answers", "put together,", "written"),
    ]
    parts = [_write(20, 24, "From requests to answers", "title")]
    for at, (name, first, second) in enumerate(steps):
        x = 20 + 136 * at
        parts.append(_draw_rect("box", x, 44, 116, 76))
        parts.append(_write(x + 58, 68, name, "title middle"))
        parts.append(_write(x + 58, 90, first, "middle"))
        parts.append(_write(x + 58, 106, second, "middle"))
        if at + 1 < len(steps):
            parts.append(f'<path class="arrow" d="M{x + 116} 82h18"/>')
    text = (
        "Admission refuses with 429, before the body is read. Nothing behind it changes an answer."
    )
    parts.append(_write(20, 150, text))
    return _frame(20 + 136 * len(steps), 170, "The way of images through the engine", parts)


def _write(x: int, y: int, text: str, style: str = "", ink: str = "") -> str:
    named = f' class="{style}"' if style else ""
    inked = f' style="fill:{ink}"' if ink else ""
    return f'<text{named}{inked} x="{x}" y="{y}">{escape(text)}</text>'


def _draw_rect(name: str, x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="{name}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def _frame(width: int, height: int, label: str, parts: list[str]) -> str:
    size = f'width="{width}" height="{height}"'
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}'
    head = [
        f'<svg {box} role="img" aria-label="{escape(label)}">',
        f"<style>{_STYLE}</style>",
        _ARROW,
        f'<rect class="page" {size}/>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


FIGURES = {
    "architecture.svg": draw_architecture,
    "masking.svg": draw_masking,
    "tiles.svg": draw_tiles,
    "engine.svg": draw_engine,
}
"""Figures by the names of their files in docs/pictures."""


if __name__ == "__main__":
    for name, draw in FIGURES.items():
        (PICTURES / name).write_text(draw())
