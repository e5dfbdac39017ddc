"""Crops of samples, varied at random, and batches of them on one canvas.

Whatever moves a pixel moves its mask and its label with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from model.data.labelled import LabelledSample
from model.data.nodata import draw_missing
from model.data.normalization import Normalization
from model.data.overview import Overview
from model.data.scenes import Scene
from model.data.warping import Warp
from model.labels import IGNORE_LABEL

Sampling = Literal["images", "area", "classes"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

_TRIES = 8
_WHITE = {"uint8": 255.0, "uint16": 65535.0}


@dataclass(frozen=True)
class AugmentationConfig:
    """Configuration of the random variation of samples.

    Attributes:
        crop: height and width of a crop in pixels; a smaller image is used whole.
        turns: whether to rotate by quarter turns and mirror at random.
        brightness: largest shift of the values of a channel, as a fraction of its scale; the same
            for all channels.
        contrast: largest relative change of the distances from a channel's mean.
        band_brightness: largest shift of the values of each channel by itself, as a fraction of its
            scale.
        rotation: largest angle of a rotation in degrees, to both sides.
        zoom: smallest and largest change of scale.
        sampling: of crops: `"images"`, from one image after the other; `"area"`, from each as often
            as it has labelled pixels; `"classes"`, around a pixel of each class as often.
        missing: smallest and largest fraction of pixels to take out.
        complete: probability that no pixel is taken out.
    """

    crop: int = 256
    turns: bool = True
    brightness: float = 0.2
    contrast: float = 0.2
    band_brightness: float = 0.0
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    sampling: Sampling = "images"
    missing: tuple[float, float] = (0.0, 0.6)
    complete: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(self.missing))
        object.__setattr__(self, "zoom", tuple(self.zoom))
        if self.crop < 1:
            raise ValueError(f"`crop` must be positive. Received: {self.crop}")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"`zoom` must be two positive numbers in order. Received: {self.zoom}")
        if self.sampling not in SAMPLINGS:
            raise ValueError(
                f"`sampling` must be one of {', '.join(SAMPLINGS)}. Received: {self.sampling!r}"
            )

    def draw_warp(self, rng: np.random.Generator) -> Warp | None:
        """Draw a rotation and a change of scale; None if both are off."""
        if not self.rotation and self.zoom == (1.0, 1.0):
            return None
        angle = math.radians(rng.uniform(-self.rotation, self.rotation))
        low, high = np.log(self.zoom)
        return Warp(angle, math.exp(rng.uniform(low, high)))


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


def vary(
    rng: np.random.Generator,
    piece: LabelledSample,
    config: AugmentationConfig,
    normalization: Normalization,
) -> LabelledSample:
    """Return a crop, rotated, with other light and with pixels taken out.

    Args:
        rng: source of randomness.
        piece: not changed.
        config: of the variation.
        normalization: of each channel: centre of the change in contrast, and unit of the change in
            brightness.

    Returns:
        A sample with a float32 image.
    """
    white = _WHITE.get(str(piece.image.dtype))
    if config.turns:
        piece = turn(piece, int(rng.integers(4)), mirror=bool(rng.integers(2)))
    means, scales = (np.asarray(values, np.float32) for values in normalization)
    gain = 1 + rng.uniform(-config.contrast, config.contrast)
    shift = rng.uniform(-config.brightness, config.brightness) * scales
    if config.band_brightness:
        bound = config.band_brightness
        shift = shift + rng.uniform(-bound, bound, len(scales)).astype(np.float32) * scales
    image = (piece.image.astype(np.float32) - means) * gain + means + shift
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


def cut(
    rng: np.random.Generator, sample: LabelledSample, crop: int, target: int | None = None
) -> LabelledSample:
    """Return a random crop that has labelled pixels.

    Args:
        rng: source of randomness.
        sample: with a labelled pixel.
        crop: height and width in pixels; a smaller sample is used whole.
        target: class that the crop has a pixel of, if the sample does.
    """
    size = sample.mask.shape
    limits = [max(side - crop, 0) for side in size]
    wanted = np.flatnonzero(sample.labels == target) if target is not None else np.empty(0)
    if len(wanted):
        place = divmod(int(wanted[rng.integers(len(wanted))]), size[1])
        corner = [
            int(np.clip(middle - rng.integers(crop), 0, limit))
            for middle, limit in zip(place, limits, strict=True)
        ]
        return _slice(sample, corner, crop)
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
    rng: np.random.Generator,
    scene: Scene,
    overview: Overview,
    crop: int,
    target: int | None = None,
) -> LabelledSample:
    """Return a random crop of a scene that has labelled pixels.

    Args:
        rng: source of randomness.
        scene: with a labelled pixel.
        overview: of the scene.
        crop: height and width in pixels; a smaller scene is used whole.
        target: class that the crop has a pixel of, if one of several places does.
    """
    for attempt in range(_TRIES):
        piece = scene.read(overview.draw(rng, crop))
        is_found = target is None or (piece.labels == target).any()
        if (is_found or attempt == _TRIES - 1) and (piece.labels != IGNORE_LABEL).any():
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
