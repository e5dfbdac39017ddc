"""Outcome of a scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lacuna.appearance.comparison import UNLIKE_TRAINING, AnswerWarning
from lacuna.areas import Area
from lacuna.scenes.journal import WindowRecord
from lacuna.scenes.runner import SceneModel


@dataclass(frozen=True)
class SceneProgress:
    """Progress of a run.

    Attributes:
        pixels: pixels of the scene that are done, empty ones included.
        all_pixels: pixels of the scene.
    """

    pixels: int
    all_pixels: int


@dataclass(frozen=True)
class SceneResult:
    """A scene that was segmented.

    Attributes:
        output: raster of the labels.
        others: files of further layers and of polygons.
        size: height and width in pixels.
        valid_pixels: number of valid pixels.
        areas: pixels of each class and their share of the valid ones, by the class's name.
        model: name of the model.
        version: version of the model.
        warnings: reasons why the labels may be wrong.
    """

    output: Path
    others: tuple[Path, ...]
    size: tuple[int, int]
    valid_pixels: int
    areas: dict[str, Area]
    model: str
    version: str
    warnings: tuple[AnswerWarning, ...]


def sum_areas(records: Iterable[WindowRecord], model: SceneModel) -> dict[str, Area]:
    """Sum the pixels of each class over the windows of a scene."""
    counts = [0] * len(model.classes)
    for record in records:
        for index, pixels in enumerate(record.counts):
            counts[index] += pixels
    valid = max(sum(counts), 1)
    pairs = zip(model.classes, counts, strict=True)
    return {entry.name: Area(pixels, pixels / valid) for entry, pixels in pairs}


def warn_of_windows(records: Iterable[WindowRecord]) -> tuple[AnswerWarning, ...]:
    """Warn if most of the windows with data are unlike the images that the model was trained on."""
    judged = [record.is_familiar for record in records if record.counts]
    strange = judged.count(False)
    if 2 * strange <= len(judged):
        return ()
    return (
        AnswerWarning(
            UNLIKE_TRAINING,
            f"{strange} of {len(judged)} windows are unlike the images that the model was trained "
            "on. The labels may be wrong: check the units of the values, and the bands",
        ),
    )
