"""Training batches of a folder of images, each a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from model.data.crops import AugmentationConfig, CropBatch, collate, cut, cut_scene, vary
from model.data.description import DatasetDescription
from model.data.folders import Dataset, load_sample
from model.data.labelled import LabelledSample
from model.data.listing import Entry
from model.data.overview import Overview
from model.data.scenes import Scene, open_scene
from model.data.views import View, read_window

CACHE_BYTES = 2**30
"""Size of the decoded images to keep in memory. Others are read each time."""

OPEN_SCENES = 32
"""Scenes that are kept open. Each takes up to three open files."""

_ORDER, _VARIATION = 0, 1


class SampleReader:
    """Reader of samples that keeps the first ones that fit into memory. Scenes stay in their files.

    Args:
        description: of the dataset.
        max_bytes: of the samples to keep.
        scenes: overviews of the images that are scenes, by name.
    """

    def __init__(
        self,
        description: DatasetDescription,
        max_bytes: int = CACHE_BYTES,
        scenes: Mapping[str, Overview] = MappingProxyType({}),
    ) -> None:
        self._description, self._scenes = description, scenes
        self._open = lru_cache(OPEN_SCENES)(self._open_scene)
        self._room = max_bytes
        self._kept: dict[str, LabelledSample] = {}
        self._lock = Lock()

    def read(self, entry: Entry) -> LabelledSample:
        """Return the sample of an image that is read whole."""
        kept = self._kept.get(entry.name)
        if kept is not None:
            return kept
        sample = load_sample(entry, self._description)
        size = sum(part.nbytes for part in sample)
        with self._lock:
            if size <= self._room and entry.name not in self._kept:
                self._kept[entry.name] = sample
                self._room -= size
        return sample

    def cut(self, rng: np.random.Generator, entry: Entry, crop: int) -> LabelledSample:
        """Return a random crop of an image or a scene that has labelled pixels.

        Args:
            rng: source of randomness.
            entry: the image.
            crop: height and width in pixels; a smaller image is used whole.
        """
        if entry.name in self._scenes:
            return cut_scene(rng, self._open(entry), self._scenes[entry.name], crop)
        return cut(rng, self.read(entry), crop)

    def read_view(self, view: View, halo: int) -> LabelledSample:
        """Return an image to score, or a window of a scene.

        Args:
            view: what to read.
            halo: to read around a window, in pixels.
        """
        if view.window is None:
            return self.read(view.entry)
        return read_window(self._open(view.entry), view.window, halo)

    def _open_scene(self, entry: Entry) -> Scene:
        return open_scene(entry, self._description)


def choose_entries(entries: Sequence[Entry], seed: int, step: int, batch_size: int) -> list[Entry]:
    """Choose the images of a step: each round goes through all images, in an order of its own.

    Args:
        entries: to choose from.
        seed: of the orders.
        step: from 0.
        batch_size: number of images.
    """
    chosen = []
    for place in range(step * batch_size, (step + 1) * batch_size):
        round_, turn = divmod(place, len(entries))
        order = np.random.default_rng([seed, _ORDER, round_]).permutation(len(entries))
        chosen.append(entries[int(order[turn])])
    return chosen


def draw_batch(
    dataset: Dataset,
    reader: SampleReader,
    augmentation: AugmentationConfig,
    seed: int,
    step: int,
    batch_size: int,
    multiple: int,
) -> CropBatch:
    """Draw the batch of a step.

    Args:
        dataset: its training images are drawn from.
        reader: reads them.
        augmentation: random variation of the images.
        seed: determines the batch, together with the step.
        step: from 0.
        batch_size: N.
        multiple: sides of the canvas are multiples of this.
    """
    samples = []
    for index, entry in enumerate(choose_entries(dataset.turns, seed, step, batch_size)):
        rng = np.random.default_rng([seed, _VARIATION, step, index])
        piece = reader.cut(rng, entry, augmentation.crop)
        samples.append(vary(rng, piece, augmentation, dataset.pixel_mean, dataset.pixel_scale))
    return collate(samples, multiple)


def stream_batches(
    dataset: Dataset,
    reader: SampleReader,
    augmentation: AugmentationConfig,
    seed: int,
    steps: range,
    batch_size: int,
    multiple: int,
) -> Any:
    """Return a `tf.data.Dataset` of the batches of some steps, drawn in advance during training.

    Returns:
        A dataset of `CropBatch`es.
    """

    def generate() -> Iterator[CropBatch]:
        for step in steps:
            yield draw_batch(dataset, reader, augmentation, seed, step, batch_size, multiple)

    signature = describe_batch(dataset.description.channels or 1)
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)


def describe_batch(channels: int) -> CropBatch:
    """Return the shapes and types of a batch as TensorFlow's specifications."""
    return CropBatch(
        tf.TensorSpec((None, None, None, channels), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
        tf.TensorSpec((None, None, None), tf.uint8),
    )
