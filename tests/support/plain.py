"""Fake models that know no mask inside: they break the promise, each in one way."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput

TILES = {"height": 32, "width": 32, "overlap": 8}


class Plain(FakeRuntime):
    """Labels each pixel by the mean of a 5 × 5 window, in which missing pixels are dark and so is
    all beyond the borders of what it is given, as zero padding has it.

    Attributes:
        shapes: of the batches.
    """

    def __init__(self, manifest=FAKE_MANIFEST):
        super().__init__(manifest)
        self.shapes = []

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        self.shapes.append(masks.shape)
        dark = np.where(masks, np.where(masks[..., None], images, 0).mean(axis=-1), 30)
        padded = np.pad(dark.astype(np.float64), ((0, 0), (2, 2), (2, 2)))
        means = sliding_window_view(padded, (5, 5), axis=(1, 2)).mean(axis=(-2, -1))
        classes = len(self.manifest.classes)
        labels = np.where(masks, np.clip(means * classes / 256, 0, classes - 1), 255)
        labels = labels.astype(np.uint8)
        scores = (labels[..., None] == np.arange(classes)).astype(np.float32)
        return BatchOutput(labels, scores if probabilities else None)


class PlainTile(Plain):
    """Takes one size alone, and pads smaller images to it."""

    def __init__(self):
        described = FAKE_MANIFEST.model_dump(by_alias=True, exclude_none=True)
        super().__init__(Manifest.model_validate(described | {"tiles": TILES}))

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        height, width = masks.shape[1:]
        assert height <= TILES["height"]
        assert width <= TILES["width"]
        rows, columns = (0, TILES["height"] - height), (0, TILES["width"] - width)
        output = super().run(
            np.pad(images, ((0, 0), rows, columns, (0, 0))),
            np.pad(masks, ((0, 0), rows, columns)),
            probabilities=True,
        )
        labels, scores = (array[:, :height, :width] for array in output)
        return BatchOutput(labels, scores if probabilities else None)


class Sociable(Plain):
    """Darkens an image by how much of its whole batch is valid."""

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        return super().run(images * masks.mean(), masks, probabilities=probabilities)
