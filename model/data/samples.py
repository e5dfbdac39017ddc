"""Images for trying the demo's models, with missing pixels: textures, and drawn views of a town."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.data.mosaics import MosaicConfig, draw_mosaic
from model.data.nodata import Pattern, clouds, dead_pixels, stripes, swath
from model.data.textures import load_textures
from model.data.townscapes import draw_townscape


class SampleImage(NamedTuple):
    """Sample and how to draw it.

    Attributes:
        pattern: pattern of the missing pixels.
        size: height and width in pixels.
        missing: fraction of missing pixels.
        fill: red, green and blue under the mask, as misleading as in reality: clouds are white, a
            dead line is black.
        seed: determines the sample.
    """

    pattern: Pattern
    size: tuple[int, int]
    missing: float
    fill: tuple[int, int, int]
    seed: int


_WHITE, _BLACK, _MAGENTA = (244, 246, 250), (0, 0, 0), (255, 0, 255)

GROUNDCOVER: Mapping[str, SampleImage] = MappingProxyType(
    {
        "clouds": SampleImage(clouds, (320, 448), 0.35, _WHITE, 3),
        "stripes": SampleImage(stripes, (301, 403), 0.3, _BLACK, 5),
        "swath": SampleImage(swath, (288, 512), 0.45, _BLACK, 8),
        "dead_pixels": SampleImage(dead_pixels, (256, 256), 0.6, _MAGENTA, 13),
    }
)
"""Samples of the model `groundcover`: textures that are held out from its training."""

AERIAL: Mapping[str, SampleImage] = MappingProxyType(
    {
        "clouds": SampleImage(clouds, (512, 512), 0.35, _WHITE, 27),
        "stripes": SampleImage(stripes, (512, 512), 0.3, _BLACK, 5),
        "swath": SampleImage(swath, (512, 512), 0.45, _BLACK, 8),
        "dead_pixels": SampleImage(dead_pixels, (448, 448), 0.4, _MAGENTA, 13),
    }
)
"""Samples of the model `aerial`: drawn views of a town."""


def write_samples(folder: Path) -> list[Path]:
    """Write every sample image as `MODEL/NAME.png` and `MODEL/NAME-mask.png`.

    Args:
        folder: created if it does not exist.

    Returns:
        The images' paths, without the masks'.
    """
    textures = load_textures("test")
    paths = []
    for name, sample in GROUNDCOVER.items():
        rng = np.random.default_rng(sample.seed)
        config = MosaicConfig(
            size=sample.size, zoom=(1.0, 1.0), cell=(90.0, 140.0), complete=1.0, tinting="natural"
        )
        image = draw_mosaic(rng, textures, config).image
        paths.append(_write(folder / "groundcover" / f"{name}.png", image, sample, rng))
    for name, sample in AERIAL.items():
        rng = np.random.default_rng(sample.seed)
        image = draw_townscape(rng, sample.size).image
        paths.append(_write(folder / "aerial" / f"{name}.png", image, sample, rng))
    return paths


def _write(
    path: Path, image: NDArray[np.uint8], sample: SampleImage, rng: np.random.Generator
) -> Path:
    """Take pixels out of an image, and write it with its mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    valid = ~sample.pattern(rng, sample.size, sample.missing)
    shown = np.where(valid[..., None], image, np.asarray(sample.fill, np.uint8))
    Image.fromarray(shown).save(path, optimize=True)
    Image.fromarray(valid).save(path.with_name(f"{path.stem}-mask.png"), optimize=True)
    return path
