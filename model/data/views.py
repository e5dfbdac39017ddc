"""Views that a network is scored on: whole images, and windows of scenes.

A window is read with a halo, whose labels do not count, so that the network's outputs are those of
the whole scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lacuna.windows.window import Window
from model.data.labelled import LabelledSample
from model.data.listing import Entry
from model.data.overview import Overview
from model.data.scenes import Scene
from model.labels import IGNORE_LABEL

WINDOW_SIDE = 512
"""Side of a window of a scene in pixels: a multiple of every network's total stride."""

FEW_WINDOWS = 64
"""Windows of each scene that training is validated on."""


class View(NamedTuple):
    """An image to score, or a window of a scene.

    Attributes:
        name: for people.
        entry: the image.
        window: of the scene that is scored, without its halo; None for a whole image.
    """

    name: str
    entry: Entry
    window: Window | None


def list_views(
    entries: Sequence[Entry], scenes: Mapping[str, Overview], most_windows: int | None = None
) -> list[View]:
    """List what there is to score: images, and the windows of scenes that have labels.

    Args:
        entries: the images.
        scenes: those that are scenes, by name.
        most_windows: of a scene, evenly spread; None for all of them.
    """
    views = []
    for entry in entries:
        if entry.name not in scenes:
            views.append(View(entry.name, entry, None))
            continue
        windows = scenes[entry.name].find_windows(WINDOW_SIDE)
        views += [
            View(f"{entry.name}, row {window.top}, column {window.left}", entry, window)
            for window in _spread(windows, most_windows)
        ]
    return views


def read_window(scene: Scene, window: Window, halo: int) -> LabelledSample:
    """Read a window of a scene with a halo, where it has one, whose labels do not count.

    Args:
        scene: the scene.
        window: inside the scene.
        halo: in pixels.
    """
    seen = window.grow(halo).intersect(Window(0, 0, *scene.size))
    sample = scene.read(seen)
    kept = window.move(-seen.top, -seen.left).slices
    labels = np.full_like(sample.labels, IGNORE_LABEL)
    labels[kept] = sample.labels[kept]
    return sample._replace(labels=labels)


def _spread(windows: Sequence[Window], most: int | None) -> Sequence[Window]:
    if most is None or len(windows) <= most:
        return windows
    places = np.linspace(0, len(windows) - 1, most).round().astype(int)
    return [windows[place] for place in places]
