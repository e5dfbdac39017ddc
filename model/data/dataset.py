"""A data set without faults, and what its images are like."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lacuna.appearance.comparison import FamiliarRange
from lacuna.appearance.statistics import ChannelStatistics, combine
from model.data.description import DESCRIPTION_FILE, DatasetDescription
from model.data.facts import Facts
from model.data.listing import Entry
from model.data.normalization import Normalization, fit_normalization
from model.data.overview import Overview
from model.data.splits import SPLIT_FILES, Split


@dataclass(frozen=True)
class Dataset:
    """A folder without faults.

    Attributes:
        folder: its path.
        description: including the channels and the dtype of the images.
        training: the images for training.
        validation: the images for validation.
        test: the images for the final score; there may be none.
        normalization: of each channel, fitted to the training images.
        statistics: of each channel of the valid values of the training images.
        class_pixels: labelled valid pixels of each class, in the images of each part.
        image_pixels: the same of each image, by name.
        sizes: height and width of each image, by name.
        valid_fraction: of all pixels.
        digest: of all files of the images.
        notes: remarks on the images that are not faults.
        scenes: where those images that are read by windows have labels, by name.
        turns: the training images of a round, a scene as often as it counts.
        fold: number of folds and name of the one that this is; empty if it is none.
    """

    folder: Path
    description: DatasetDescription
    training: tuple[Entry, ...]
    validation: tuple[Entry, ...]
    test: tuple[Entry, ...]
    normalization: Normalization
    statistics: tuple[ChannelStatistics, ...]
    class_pixels: Mapping[str, tuple[int, ...]]
    image_pixels: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, tuple[int, int]]
    valid_fraction: float
    digest: str
    notes: tuple[str, ...]
    scenes: Mapping[str, Overview]
    turns: tuple[Entry, ...]
    fold: str = ""

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Images for the final score: those for testing, or else those for validation."""
        return self.test or self.validation


def take_stock(
    folder: Path,
    description: DatasetDescription,
    split: Split,
    facts: Mapping[str, Facts],
) -> Dataset:
    """Summarise a folder without faults.

    Args:
        folder: its path.
        description: including the channels and the dtype of the images.
        split: the parts of the images.
        facts: about the images, by name.
    """
    training, validation, test = split
    learnt = [facts[entry.name] for entry in training]
    used = [facts[entry.name] for part in split for entry in part]
    pixels = {
        name: count_classes((facts[entry.name] for entry in part), len(description.classes))
        for name, part in split._asdict().items()
        if part or name != "test"
    }
    notes = [
        f"no {name} image has a pixel of class {entry.name}"
        for name, counts in pixels.items()
        for entry, pixel_count in zip(description.classes, counts, strict=True)
        if not pixel_count
    ]
    is_listed = (folder / SPLIT_FILES[0]).exists()  # by people who know how many there are
    notes += [
        f"{name} has 1 image, {part[0].name}: its scores say little of others"
        for name, part in (("validation", validation), ("test", test))
        if len(part) == 1 and part[0].name not in _find_scenes(part, facts) and not is_listed
    ]
    channels, measured = description.channels or 1, [found.statistics for found in learnt]
    statistics = combine(measured, channels)
    notes += _note_unlike(FamiliarRange(statistics), (*validation, *test), facts)
    notes += _note_bands(facts)
    left_out = len(facts) - len(used)
    if left_out:
        notes.append(f"{left_out} images are in neither {' nor '.join(SPLIT_FILES)}")
    order = [
        f"{part}:{facts[e.name].digest}"
        for part, es in (("t", training), ("v", validation), ("x", test))
        for e in es
    ]
    return Dataset(
        folder=folder,
        description=description,
        training=training,
        validation=validation,
        test=test,
        normalization=fit_normalization(measured, channels),
        statistics=statistics,
        class_pixels=pixels,
        image_pixels={
            entry.name: count_classes([facts[entry.name]], len(description.classes))
            for part in split
            for entry in part
        },
        sizes={entry.name: facts[entry.name].size for part in split for entry in part},
        valid_fraction=sum(f.valid for f in used) / sum(f.size[0] * f.size[1] for f in used),
        digest=hashlib.blake2b("\n".join(order).encode(), digest_size=16).hexdigest(),
        notes=tuple(notes),
        scenes=_find_scenes([entry for part in split for entry in part], facts),
        turns=tuple(entry for entry in training for _ in range(facts[entry.name].turns)),
    )


def _find_scenes(entries: Sequence[Entry], facts: Mapping[str, Facts]) -> dict[str, Overview]:
    return {
        entry.name: overview
        for entry in entries
        if (overview := facts[entry.name].overview) is not None
    }


def _note_bands(facts: Mapping[str, Facts]) -> list[str]:
    """Note the images whose bands may not be what they are taken for."""
    named = {found.band_names: name for name, found in facts.items() if found.band_names}
    notes = []
    if len(named) > 1:
        (first, one), (second, other), *_ = named.items()
        notes.append(
            f"bands are named {', '.join(first)} in {one} and {', '.join(second)} in {other}: "
            f"bands in {DESCRIPTION_FILE} chooses them by name"
        )
    doubts = {doubt: name for name, found in facts.items() for doubt in found.doubts}
    return [*notes, *(f"{name}: {doubt}" for doubt, name in doubts.items())]


def _note_unlike(
    familiar: FamiliarRange, validation: Sequence[Entry], facts: Mapping[str, Facts]
) -> list[str]:
    """Note the validation images whose values are unlike those of the training images."""
    notes = []
    for entry in validation:
        difference = familiar.check_image(facts[entry.name].statistics)
        if difference:
            notes.append(f"{entry.image.name} is unlike the training images: {difference}")
    return notes


def count_classes(facts: Iterable[Facts], classes: int) -> tuple[int, ...]:
    """Return the labelled valid pixels of each class."""
    counts = [found.class_pixels[:classes] for found in facts]
    return tuple(map(sum, zip(*counts, strict=True))) if counts else (0,) * classes
