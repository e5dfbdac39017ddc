"""Mosaics of textures with known labels, drawn on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.appearance.statistics import ChannelStatistics, combine, measure_image
from model.data.nodata import draw_missing, smooth_noise
from model.data.streams import draw_ahead
from model.data.textures import CLASSES, draw_crop, load_textures
from model.labels import IGNORE_LABEL

Tinting = Literal["random", "natural"]

_MEASURED_MOSAICS = 256


class Mosaic(NamedTuple):
    """An image with missing pixels and its labels.

    Attributes:
        image: uint8 (H, W, 3); 0 where missing.
        mask: bool (H, W), True = valid.
        labels: uint8 (H, W), class ids; `IGNORE_LABEL` where missing.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class MosaicConfig:
    """Configuration of mosaics.

    Attributes:
        size: height and width in pixels.
        zoom: smallest and largest enlargement of a texture.
        cell: smallest and largest width of a region in pixels.
        missing: smallest and largest fraction of missing pixels.
        complete: probability that no pixel is missing.
        tinting: `"random"` grey or any tint, so that colour does not indicate the class;
            `"natural"` the tint of the class.
    """

    size: tuple[int, int] = (128, 128)
    zoom: tuple[float, float] = (0.8, 1.25)
    cell: tuple[float, float] = (45.0, 90.0)
    missing: tuple[float, float] = (0.0, 0.8)
    complete: float = 0.25
    tinting: Tinting = "random"


def draw_labels(rng: np.random.Generator, size: tuple[int, int], cell: float) -> NDArray[np.uint8]:
    """Draw a map of regions with rounded borders.

    Args:
        rng: source of randomness.
        size: height and width in pixels.
        cell: approximate width of a region in pixels.

    Returns:
        uint8 (H, W), class ids.
    """
    fields = [smooth_noise(rng, size, cell) for _ in CLASSES]
    return np.argmax(fields, axis=0).astype(np.uint8)


def draw_mosaic(
    rng: np.random.Generator, textures: Sequence[NDArray[np.uint8]], config: MosaicConfig
) -> Mosaic:
    """Draw one mosaic.

    Args:
        rng: source of randomness.
        textures: from `load_textures`.
        config: of the mosaics.
    """
    size = config.size
    labels = draw_labels(rng, size, rng.uniform(*config.cell))
    image = np.empty((*size, 3), np.float32)
    for index, texture in enumerate(textures):
        crop = draw_crop(rng, texture, size, rng.uniform(*config.zoom))
        here = labels == index
        image[here] = _expose(rng, crop[here]) * _draw_tint(rng, index, config.tinting)
    image += rng.normal(0, rng.uniform(0, 4), (*size, 1))
    complete = Mosaic(
        np.clip(np.round(image), 0, 255).astype(np.uint8), np.ones(size, np.bool_), labels
    )
    if rng.random() < config.complete:
        return complete
    return remove_pixels(complete, draw_missing(rng, size, rng.uniform(*config.missing)))


def remove_pixels(mosaic: Mosaic, missing: NDArray[np.bool_]) -> Mosaic:
    """Take pixels out of a mosaic.

    Args:
        mosaic: the mosaic.
        missing: bool (H, W), True = pixel to take out.
    """
    mask = mosaic.mask & ~missing
    return Mosaic(
        np.where(mask[..., None], mosaic.image, np.uint8(0)),
        mask,
        np.where(mask, mosaic.labels, np.uint8(IGNORE_LABEL)),
    )


def _expose(rng: np.random.Generator, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vary contrast and brightness, so that grey values alone do not indicate the class."""
    gain, offset = rng.uniform(0.7, 1.3), rng.uniform(-40, 40)
    return np.asarray((values - 127.5) * gain + 127.5 + offset, np.float32)[:, None]


def _draw_tint(rng: np.random.Generator, index: int, tinting: Tinting) -> NDArray[np.float32]:
    if tinting == "natural":
        return np.asarray(CLASSES[index].tint, np.float32)
    if rng.random() < 0.5:
        return np.ones(3, np.float32)
    return rng.uniform(0.6, 1.2, 3).astype(np.float32)


def iterate_mosaics(
    textures: Sequence[NDArray[np.uint8]], config: MosaicConfig, seed: int
) -> Iterator[Mosaic]:
    """Yield mosaics without end; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        yield draw_mosaic(rng, textures, config)


def measure_mosaics(config: MosaicConfig, seed: int) -> tuple[ChannelStatistics, ...]:
    """Return statistics of the valid values of a training's first 256 mosaics.

    Args:
        config: of the mosaics.
        seed: determines every mosaic.
    """
    mosaics = islice(iterate_mosaics(load_textures("train"), config, seed), _MEASURED_MOSAICS)
    measured = [measure_image(m.image, m.mask) for m in mosaics if m.mask.any()]
    return combine(measured, channels=3)


def mosaic_dataset(
    textures: Sequence[NDArray[np.uint8]],
    config: MosaicConfig,
    seed: int,
    batch_size: int,
    skip: int = 0,
) -> Any:
    """Return an endless `tf.data.Dataset` of training batches.

    Args:
        textures: from `load_textures`.
        config: of the mosaics.
        seed: determines every mosaic.
        batch_size: N.
        skip: number of batches to leave out at the beginning.

    Returns:
        A dataset of `(image float32 (N, H, W, 3), mask bool (N, H, W, 1), labels uint8 (N, H, W))`.
    """

    def generate() -> Iterator[tuple[Any, Any, Any]]:
        mosaics = islice(iterate_mosaics(textures, config, seed), skip * batch_size, None)
        for image, mask, labels in mosaics:
            yield image.astype(np.float32), mask[..., None], labels

    signature = (
        tf.TensorSpec((*config.size, 3), tf.float32),
        tf.TensorSpec((*config.size, 1), tf.bool),
        tf.TensorSpec(config.size, tf.uint8),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return draw_ahead(dataset.batch(batch_size, drop_remainder=True))
