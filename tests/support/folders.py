"""Folders of images to train on: dark and bright regions, told apart by their values alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = '[{name = "dark", color = "#4477aa"}, {name = "bright", color = "#ccbb44"}]'
DARK, BRIGHT = 60, 190


def write_description(folder: Path, *lines: str) -> None:
    """Write `dataset.toml` with more lines than the name and the classes."""
    text = "\n".join(['name = "regions"', f"classes = {CLASSES}", *lines])
    (folder / "dataset.toml").write_text(text + "\n")


def draw_regions(size: tuple[int, int], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw an image uint8 (H, W, 3) of a dark and a bright part, and its labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.65)
    field = (y - place * size[0]) * np.cos(angle) + (x - place * size[1]) * np.sin(angle)
    labels = (field > 0).astype(np.uint8)
    image = np.where(labels[..., None] == 1, BRIGHT, DARK) + rng.normal(0, 8, (*size, 3))
    return image.round().clip(0, 255).astype(np.uint8), labels


def write_folder(folder: Path, count: int = 12, side: int = 40) -> Path:
    """Write a folder of images of many sizes, half of them with a mask.

    The values under a mask are those of the other class.

    Args:
        folder: made here.
        count: of images; the last quarter is for validation.
        side: of the largest image, in pixels.
    """
    for name in ("images", "labels", "masks"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        height, width = (int(value) for value in rng.integers(side // 2, side + 1, 2))
        image, labels = draw_regions((height, width), index)
        if index % 2:
            mask = np.ones((height, width), np.bool_)
            mask[:, : width // 4] = False
            image[~mask] = 250 - image[~mask]
            Image.fromarray(mask).save(folder / "masks" / f"scene{index:02}.png")
        Image.fromarray(image).save(folder / "images" / f"scene{index:02}.png")
        Image.fromarray(labels).save(folder / "labels" / f"scene{index:02}.png")
    write_description(folder)
    names = [f"scene{index:02}" for index in range(count)]
    learnt = count - max(count // 4, 1)
    (folder / "train.txt").write_text("\n".join(names[:learnt]) + "\n")
    (folder / "validation.txt").write_text("\n".join(names[learnt:]) + "\n")
    return folder
