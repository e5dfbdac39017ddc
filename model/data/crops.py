"""Crops of samples, varied at random, and batches of them on one canvas.

Whatever moves a pixel moves its mask and its label with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.labelled import LabelledSample
from model.data.nodata import draw_missing
from model.data.overview import Overview
from model.data.scenes import Scene
from model.labels import IGNORE_LABEL

_TRIES = 8
_WHITE = {"uint8": 255.0, "uint16": 65535.0}


@dataclass(frozen=True)
class AugmentationConfig:
    """Configuration of the random variation of samples.

    Attributes:
        crop: height and width of a crop in pixels; a smaller image is used whole.
        turns: whether to rotate by quarter turns and mirror at random.
        brightness: largest shift of all values, as a fraction of the images' standard deviation.
        contrast: largest relative change of the distances from the images' mean.
        missing: smallest and largest fraction of pixels to take out.
        complete: probability that no pixel is taken out.
    """

    crop: int = 256
    turns: bool = True
    brightness: float = 0.2
    contrast: float = 0.2
    missing: tuple[float, float] = (0.0, 0.6)
    complete: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(self.missing))
        if self.crop < 1:
            raise ValueError(f"`crop` must be positive. Received: {self.crop}")


class CropBatch(NamedTuple):
    """Samples on one canvas, each in its upper left corner.

    Attributes:
        image: float32 (N, H, W, C); 0 where missing and outside a sample.
        mask: bool (N, H, W, 1), True = valid; False outside a sample.
        labels: uint8 (N, H, W); `IGNORE_LABEL` where missing or unknown and outside a sample.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    labels: NDArray[np.uint8]


def augment(
    rng: np.random.Generator,
    sample: LabelledSample,
    config: AugmentationConfig,
    pixel_mean: float,
    pixel_scale: float,
) -> LabelledSample:
    """Return a random crop of a sample, rotated, with other light and with pixels taken out.

    Args:
        rng: source of randomness.
        sample: not changed.
        config: of the variation.
        pixel_mean: centre of the change in contrast.
        pixel_scale: unit of the change in brightness.

    Returns:
        A sample with a float32 image.
    """
    return vary(rng, cut(rng, sample, config.crop), config, pixel_mean, pixel_scale)


def vary(
    rng: np.random.Generator,
    piece: LabelledSample,
    config: AugmentationConfig,
    pixel_mean: float,
    pixel_scale: float,
) -> LabelledSample:
    """Return a crop, rotated, with other light and with pixels taken out; see `augment`."""
    white = _WHITE.get(str(piece.image.dtype))
    if config.turns:
        piece = turn(piece, int(rng.integers(4)), mirror=bool(rng.integers(2)))
    gain = 1 + rng.uniform(-config.contrast, config.contrast)
    shift = rng.uniform(-config.brightness, config.brightness) * pixel_scale
    image = (piece.image.astype(np.float32) - pixel_mean) * gain + pixel_mean + shift
    image = image if white is None else np.clip(image, 0, white)
    image = np.where(piece.mask[..., None], image, 0).astype(np.float32)
    varied = LabelledSample(image, piece.mask, piece.labels)
    if rng.random() < config.complete:
        return varied
    size = (image.shape[0], image.shape[1])
    return remove_pixels(varied, draw_missing(rng, size, rng.uniform(*config.missing)))


def turn(sample: LabelledSample, quarters: int, *, mirror: bool) -> LabelledSample:
    """Rotate a sample by quarter turns, anticlockwise, then mirror its columns."""
    turned = sample.move(lambda part: np.rot90(part, quarters))
    return turned.move(lambda part: part[:, ::-1]) if mirror else turned


def remove_pixels(sample: LabelledSample, missing: NDArray[np.bool_]) -> LabelledSample:
    """Take pixels out of a sample.

    Args:
        sample: not changed.
        missing: bool (H, W), True = pixel to take out.
    """
    mask = sample.mask & ~missing
    return LabelledSample(
        np.where(mask[..., None], sample.image, sample.image.dtype.type(0)),
        mask,
        np.where(mask, sample.labels, np.uint8(IGNORE_LABEL)),
    )


def cut(rng: np.random.Generator, sample: LabelledSample, crop: int) -> LabelledSample:
    """Return a random crop that has labelled pixels.

    Args:
        rng: source of randomness.
        sample: with a labelled pixel.
        crop: height and width in pixels; a smaller sample is used whole.
    """
    size = sample.mask.shape
    limits = [max(side - crop, 0) for side in size]
    for _ in range(_TRIES):
        corner = [int(rng.integers(limit + 1)) for limit in limits]
        piece = _slice(sample, corner, crop)
        if (piece.labels != IGNORE_LABEL).any():
            return piece
    labelled = np.argwhere(sample.labels != IGNORE_LABEL)
    middle = labelled[rng.integers(len(labelled))]
    corner = [
        int(np.clip(place - crop // 2, 0, limit))
        for place, limit in zip(middle, limits, strict=True)
    ]
    return _slice(sample, corner, crop)


def cut_scene(
    rng: np.random.Generator, scene: Scene, overview: Overview, crop: int
) -> LabelledSample:
    """Return a random crop of a scene that has labelled pixels.

    Args:
        rng: source of randomness.
        scene: with a labelled pixel.
        overview: of the scene.
        crop: height and width in pixels; a smaller scene is used whole.
    """
    for _ in range(_TRIES):
        piece = scene.read(overview.draw(rng, crop))
        if (piece.labels != IGNORE_LABEL).any():
            return piece
    cell = overview.draw_cell(rng)
    labelled = np.argwhere(scene.read(cell).labels != IGNORE_LABEL)
    row, column = labelled[rng.integers(len(labelled))].tolist()
    top, left = cell.top + row - crop // 2, cell.left + column - crop // 2
    return scene.read(overview.place(top, left, crop))


def _slice(sample: LabelledSample, corner: Sequence[int], crop: int) -> LabelledSample:
    top, left = corner
    return sample.move(lambda part: part[top : top + crop, left : left + crop])


def collate(samples: Sequence[LabelledSample], multiple: int) -> CropBatch:
    """Put samples of any sizes on one canvas, of the largest size, rounded up to a multiple.

    Args:
        samples: with the same number of channels.
        multiple: sides of the canvas are multiples of this.
    """
    sizes = [sample.mask.shape for sample in samples]
    height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*sizes, strict=True))
    count, channels = len(samples), samples[0].image.shape[2]
    image = np.zeros((count, height, width, channels), np.float32)
    mask = np.zeros((count, height, width, 1), np.bool_)
    labels = np.full((count, height, width), IGNORE_LABEL, np.uint8)
    for index, (sample, (rows, columns)) in enumerate(zip(samples, sizes, strict=True)):
        image[index, :rows, :columns] = sample.image
        mask[index, :rows, :columns, 0] = sample.mask
        labels[index, :rows, :columns] = sample.labels
    return CropBatch(image, mask, labels)
