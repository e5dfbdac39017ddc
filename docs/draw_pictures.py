"""Draws the README's picture: a sample as it is, its mask, and what the demo answers.

python docs/draw_pictures.py
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from lacuna.cli import main as lacuna
from service.runtime.manifest import read_manifest

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "service" / "demo"
MODEL = "aerial"
IMAGES = DEMO / "samples" / MODEL
OUTPUT = Path(__file__).parent / "pictures" / "samples.png"

SAMPLES = ("clouds", "stripes", "dead_pixels")
CAPTIONS = ("image", "mask: white = valid", "labels: only where there is data")
CELL = (384, 268)
GAP = 10
CAPTION_HEIGHT = 30
LEGEND_WIDTH = 130
HATCH = (225, 225, 225)


def segment(name: str, folder: Path) -> Image.Image:
    """Run `lacuna segment` on a sample and hatch what is transparent in its answer."""
    output = folder / f"{name}-labels.png"
    arguments = [IMAGES / f"{name}.png", "--mask", IMAGES / f"{name}-mask.png", "-o", output]
    result = CliRunner().invoke(lacuna, ["segment", "--model", MODEL, *map(str, arguments)])
    if result.exit_code:
        raise RuntimeError(result.output)
    labels = Image.open(io.BytesIO(output.read_bytes())).convert("RGBA")
    output.unlink()
    y, x = np.mgrid[: labels.height, : labels.width]
    stripes = np.where(((x + y) // 4 % 2)[..., None], 255, np.asarray(HATCH)).astype(np.uint8)
    picture = Image.fromarray(stripes)
    picture.paste(labels, mask=labels)
    return picture


def fit(picture: Image.Image) -> Image.Image:
    """Cut a picture to the cell's proportions and scale it, without smoothing labels."""
    width, height = CELL
    scale = max(width / picture.width, height / picture.height)
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.NEAREST).crop((0, 0, width, height))


def main() -> None:
    """Draw and save."""
    width = len(CAPTIONS) * (CELL[0] + GAP) - GAP
    height = len(SAMPLES) * (CELL[1] + GAP) + 2 * CAPTION_HEIGHT
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    for column, caption in enumerate(CAPTIONS):
        draw.text((column * (CELL[0] + GAP), 4), caption, fill="black", font=font)
    for row, name in enumerate(SAMPLES):
        image = Image.open(IMAGES / f"{name}.png").convert("RGB")
        mask = Image.open(IMAGES / f"{name}-mask.png").convert("RGB")
        for column, picture in enumerate((image, mask, segment(name, OUTPUT.parent))):
            place = (column * (CELL[0] + GAP), CAPTION_HEIGHT + row * (CELL[1] + GAP))
            sheet.paste(fit(picture), place)
    classes = read_manifest(DEMO / "models" / MODEL / "1").classes
    left, top = width - len(classes) * LEGEND_WIDTH, height - CAPTION_HEIGHT + 4
    for entry in classes:
        draw.rectangle((left, top, left + 18, top + 18), fill=entry.rgb)
        draw.text((left + 26, top), entry.name, fill="black", font=font)
        left += LEGEND_WIDTH
    sheet.quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        OUTPUT, optimize=True
    )


if __name__ == "__main__":
    main()
