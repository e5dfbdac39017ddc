"""LabelledSample images for trying a model: held-out textures with missing pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from model.data.mosaics import MosaicConfig, draw_mosaic
from model.data.nodata import Pattern, clouds, dead_pixels, stripes, swath
from model.data.textures import load_textures


class _SampleImage(NamedTuple):
    pattern: Pattern
    size: tuple[int, int]
    missing: float
    fill: tuple[int, int, int]
    seed: int


# Values under the mask are as misleading as in reality: clouds are white, a dead line is black.
SAMPLES: Mapping[str, _SampleImage] = MappingProxyType(
    {
        "clouds": _SampleImage(clouds, (320, 448), 0.35, (244, 246, 250), 3),
        "stripes": _SampleImage(stripes, (301, 403), 0.3, (0, 0, 0), 5),
        "swath": _SampleImage(swath, (288, 512), 0.45, (0, 0, 0), 8),
        "dead_pixels": _SampleImage(dead_pixels, (256, 256), 0.6, (255, 0, 255), 13),
    }
)


def write_samples(folder: Path) -> list[Path]:
    """Write every sample image as `NAME.png` and `NAME-mask.png`.

    Args:
        folder: created if it does not exist.

    Returns:
        The images' paths, without the masks'.
    """
    folder.mkdir(parents=True, exist_ok=True)
    textures = load_textures("test")
    paths = []
    for name, sample in SAMPLES.items():
        rng = np.random.default_rng(sample.seed)
        config = MosaicConfig(
            size=sample.size, zoom=(1.0, 1.0), cell=(90.0, 140.0), complete=1.0, tinting="natural"
        )
        image = draw_mosaic(rng, textures, config).image
        valid = ~sample.pattern(rng, sample.size, sample.missing)
        shown = np.where(valid[..., None], image, np.asarray(sample.fill, np.uint8))
        path = folder / f"{name}.png"
        Image.fromarray(shown).save(path, optimize=True)
        Image.fromarray(valid).save(path.with_name(f"{name}-mask.png"), optimize=True)
        paths.append(path)
    return paths
