"""Training batches of a folder of images, each a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from tempfile import TemporaryFile
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.data.crops import (
    AugmentationConfig,
    CropBatch,
    Sampling,
    collate,
    cut,
    cut_scene,
    vary,
)
from model.data.dataset import Dataset
from model.data.description import DatasetDescription
from model.data.folders import load_sample
from model.data.labelled import LabelledSample
from model.data.listing import Entry
from model.data.overview import Overview
from model.data.scenes import Scene, open_scene
from model.data.streams import draw_ahead
from model.data.views import View, read_window
from model.data.warping import warp_sample

CACHE_BYTES = 2**30
"""Size of the decoded images to keep in memory. Others are kept in temporary files."""

OPEN_SCENES = 32
"""Scenes that are kept open. Each takes up to three open files."""

_ORDER, _VARIATION = 0, 1


class SampleReader:
    """Reader of samples that decodes each image once, and keeps it.

    The first ones that fit stay in memory, and others in temporary files, of which crops are read.
    Scenes stay in their own files.

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
        self._filed: dict[str, LabelledSample] = {}
        self._lock = Lock()

    def read(self, entry: Entry) -> LabelledSample:
        """Return the sample of an image that is read whole."""
        kept = self._kept.get(entry.name)
        if kept is not None:
            return kept
        filed = self._filed.get(entry.name)
        if filed is not None:
            return LabelledSample(*filed)
        sample = load_sample(entry, self._description)
        size = sum(part.nbytes for part in sample)
        with self._lock:
            if size <= self._room and entry.name not in self._kept:
                self._kept[entry.name] = sample
                self._room -= size
                return sample
        try:
            self._filed[entry.name] = sample.move(_file)
        except OSError:  # no room on the disk either: it is decoded each time
            return sample
        return LabelledSample(*self._filed[entry.name])

    def cut(
        self, rng: np.random.Generator, entry: Entry, crop: int, target: int | None = None
    ) -> LabelledSample:
        """Return a random crop of an image or a scene that has labelled pixels.

        Args:
            rng: source of randomness.
            entry: the image.
            crop: height and width in pixels; a smaller image is used whole.
            target: class that the crop should have a pixel of.
        """
        if entry.name in self._scenes:
            return cut_scene(rng, self._open(entry), self._scenes[entry.name], crop, target)
        return cut(rng, self.read(entry), crop, target)

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


def _file(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that lies in a temporary file without a name, which goes with it."""
    with TemporaryFile() as file:
        np.ascontiguousarray(array).tofile(file)
        return np.asarray(np.memmap(file, array.dtype, "r", shape=array.shape))


class Turn(NamedTuple):
    """Image that a crop is cut from.

    Attributes:
        entry: the image.
        target: class that the crop should have a pixel of; None if it does not matter.
    """

    entry: Entry
    target: int | None = None


def choose_turns(
    dataset: Dataset, sampling: Sampling, seed: int, step: int, batch_size: int
) -> list[Turn]:
    """Choose what the crops of a step are cut from.

    Args:
        dataset: its training images are chosen from.
        sampling: as in `AugmentationConfig`.
        seed: of the choice.
        step: from 0.
        batch_size: number of crops.
    """
    if sampling == "images":
        return [Turn(entry) for entry in choose_entries(dataset.turns, seed, step, batch_size)]
    pixels = np.array([dataset.image_pixels[entry.name] for entry in dataset.training], np.float64)
    rng = np.random.default_rng([seed, _ORDER, step])
    turns = []
    for _ in range(batch_size):
        target = None
        weights = pixels.sum(axis=1)
        if sampling == "classes":
            target = int(rng.choice(np.flatnonzero(pixels.sum(axis=0))))
            weights = pixels[:, target]
        place = rng.choice(len(weights), p=weights / weights.sum())
        turns.append(Turn(dataset.training[int(place)], target))
    return turns


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
    turns = choose_turns(dataset, augmentation.sampling, seed, step, batch_size)
    for index, (entry, target) in enumerate(turns):
        rng = np.random.default_rng([seed, _VARIATION, step, index])
        warp, crop = augmentation.draw_warp(rng), augmentation.crop
        piece = reader.cut(rng, entry, warp.find_source(crop) if warp else crop, target)
        piece = warp_sample(piece, warp, crop) if warp else piece
        samples.append(vary(rng, piece, augmentation, dataset.normalization))
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
    return draw_ahead(tf.data.Dataset.from_generator(generate, output_signature=signature))


def describe_batch(channels: int) -> CropBatch:
    """Return the shapes and types of a batch as TensorFlow's specifications."""
    return CropBatch(
        tf.TensorSpec((None, None, None, channels), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
        tf.TensorSpec((None, None, None), tf.uint8),
    )
