"""Photographs of grass, gravel and brick, split into parts for training and for testing.

The photographs are scikit-image's, 512 × 512 grey values each, dedicated to the public domain
(CC0): https://scikit-image.org/docs/stable/api/skimage.data.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

Split = Literal["train", "test"]
Crop = NDArray[np.float32]


@dataclass(frozen=True)
class TextureClass:
    """A class of ground cover.

    Attributes:
        name: of the class, and of scikit-image's photograph.
        color: red, green and blue, 0 to 255, for pictures of the class.
        tint: red, green and blue factors that give the grey photograph its natural colour.
    """

    name: str
    color: tuple[int, int, int]
    tint: tuple[float, float, float]


CLASSES = (
    TextureClass("grass", (102, 166, 30), (0.80, 1.08, 0.58)),
    TextureClass("gravel", (117, 112, 179), (1.02, 1.0, 0.97)),
    TextureClass("brick", (217, 95, 2), (1.18, 0.82, 0.70)),
)

# Columns of each photograph. The gap keeps the neighbourhood of a crop out of the other split.
_COLUMNS: dict[Split, slice] = {"train": slice(0, 320), "test": slice(336, 512)}


def load_textures(split: Split) -> list[NDArray[np.uint8]]:
    """Load one split's part of every photograph, in the order of `CLASSES`.

    Args:
        split: `"train"` or `"test"`; they share no pixel and do not touch.

    Returns:
        uint8 (512, W) for each class, W = 320 for training and 176 for testing.
    """
    return [getattr(data, texture.name)()[:, _COLUMNS[split]] for texture in CLASSES]


def draw_crop(
    rng: np.random.Generator, texture: NDArray[np.uint8], size: tuple[int, int], zoom: float
) -> Crop:
    """Return a crop from a random place, rotated and mirrored at random.

    Args:
        rng: source of randomness.
        texture: uint8 (H, W); mirrored outwards where the crop is larger.
        size: height and width of the crop in pixels.
        zoom: enlargement of the texture.

    Returns:
        float32 of that size, 0 to 255.
    """
    texture = np.rot90(texture, int(rng.integers(0, 4)))
    if rng.random() < 0.5:
        texture = texture[:, ::-1]
    source = [max(round(side / zoom), 1) for side in size]
    missing = [max(want - have, 0) for want, have in zip(source, texture.shape, strict=True)]
    if any(missing):
        texture = np.pad(texture, [(0, missing[0]), (0, missing[1])], mode="reflect")
    top, left = (
        int(rng.integers(0, have - want + 1))
        for want, have in zip(source, texture.shape, strict=True)
    )
    piece = Image.fromarray(
        np.ascontiguousarray(texture[top : top + source[0], left : left + source[1]])
    )
    return np.asarray(piece.resize((size[1], size[0]), Image.Resampling.BICUBIC), np.float32)
