"""Training batches of a folder of images, each a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import numpy as np
import tensorflow as tf

from model.data.crops import AugmentationConfig, CropBatch, augment, collate
from model.data.description import DatasetDescription
from model.data.folders import Dataset, LabelledSample, load_sample
from model.data.listing import Entry

CACHE_BYTES = 2**30
"""Size of the decoded images to keep in memory. Others are read each time."""

_ORDER, _VARIATION = 0, 1


class SampleReader:
    """Reader of samples that keeps the first ones that fit into memory.

    Args:
        description: of the dataset.
        max_bytes: of the samples to keep.
    """

    def __init__(self, description: DatasetDescription, max_bytes: int = CACHE_BYTES) -> None:
        self._description = description
        self._room = max_bytes
        self._kept: dict[str, LabelledSample] = {}
        self._lock = Lock()

    def read(self, entry: Entry) -> LabelledSample:
        """Return the sample of an entry."""
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
    for index, entry in enumerate(choose_entries(dataset.training, seed, step, batch_size)):
        rng = np.random.default_rng([seed, _VARIATION, step, index])
        samples.append(
            augment(rng, reader.read(entry), augmentation, dataset.pixel_mean, dataset.pixel_scale)
        )
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
