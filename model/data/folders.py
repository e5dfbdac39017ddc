"""Folder of images, label maps and masks, checked as a whole before training.

DIR/dataset.toml         names the model and its classes
DIR/images/NAME.ext      of any format that the server reads, any sizes mixed
DIR/labels/NAME.ext      class ids as they are stored, 255 = unknown; or polygons
DIR/masks/NAME.ext       optional; non-zero = valid
DIR/train.txt, DIR/validation.txt    optional; names, one a line
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from lacuna.appearance.comparison import FamiliarRange
from lacuna.appearance.statistics import ChannelStatistics, combine
from lacuna.raster.sidecar import choose_mask
from model.data.description import DESCRIPTION_FILE, DatasetDescription, Depth, read_description
from model.data.facts import Facts
from model.data.inspection import inspect, inspect_orphan
from model.data.label_files import read_label_file
from model.data.labelled import LabelledSample, make_sample
from model.data.listing import SPLIT_FILES, Entry, list_entries, split_entries
from model.data.overview import Overview
from model.data.reading import read_image, read_mask
from model.data.scenes import SCENE_BYTES

_THREADS = 4
_MOST_CHARACTERS = 100
"""Most characters of a band's name in a manifest."""


class DatasetError(ValueError):
    """Faults of a folder that make training impossible.

    Args:
        folder: the folder.
        faults: each begins with the file that it concerns.
    """

    def __init__(self, folder: Path, faults: Sequence[str]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n  ".join([f"{folder} has {count}:", *faults]))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Dataset:
    """A folder without faults.

    Attributes:
        folder: its path.
        description: including the channels and the dtype of the images.
        training: the images for training.
        validation: the images for validation.
        pixel_mean: of the valid values of the training images.
        pixel_scale: their standard deviation, 1 if they are all the same.
        statistics: of each channel of the valid values of the training images.
        class_pixels: labelled valid pixels of each class, in the training and validation images.
        sizes: height and width of each image, by name.
        valid_fraction: of all pixels.
        digest: of all files of the images.
        notes: remarks on the images that are not faults.
        scenes: where those images that are read by windows have labels, by name.
        turns: the training images of a round, a scene as often as it counts.
    """

    folder: Path
    description: DatasetDescription
    training: tuple[Entry, ...]
    validation: tuple[Entry, ...]
    pixel_mean: float
    pixel_scale: float
    statistics: tuple[ChannelStatistics, ...]
    class_pixels: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, tuple[int, int]]
    valid_fraction: float
    digest: str
    notes: tuple[str, ...]
    scenes: Mapping[str, Overview]
    turns: tuple[Entry, ...]


def read_dataset(folder: Path, scene_bytes: int = SCENE_BYTES) -> Dataset:
    """Check a folder and summarise its images.

    Args:
        folder: with the layout above.
        scene_bytes: size of the largest decoded image that is read whole.

    Raises:
        DatasetError: lists all faults.
    """
    description, faults = read_description(folder / DESCRIPTION_FILE)
    faults = [f"{DESCRIPTION_FILE}: {fault}" for fault in faults]
    entries, orphans, listing_faults = list_entries(folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(
            pool.map(lambda entry: inspect(entry, description, folder, scene_bytes), entries)
        )
    facts = {entry.name: found for entry, (found, _) in zip(entries, results, strict=True) if found}
    faults += listing_faults
    faults += [fault for path in orphans for fault in inspect_orphan(path, folder)]
    faults += [fault for _, found in results for fault in found]
    resolved, odd_ones = _resolve(description, facts, {entry.name: entry for entry in entries})
    training, validation, split_faults = split_entries(folder, entries, description)
    faults += odd_ones + split_faults
    if faults or resolved is None:
        raise DatasetError(folder, faults)
    return _take_stock(folder, resolved, training, validation, facts)


def load_sample(entry: Entry, description: DatasetDescription) -> LabelledSample:
    """Read one image of a checked folder whole.

    Args:
        entry: from `Dataset.training` or `Dataset.validation`.
        description: the dataset's.
    """
    mask_path, nodata = choose_mask(entry.image, entry.mask, description.nodata)
    image = read_image(entry.image.read_bytes(), nodata, description.selection)
    if mask_path is not None:
        image = image._replace(valid=image.valid & read_mask(mask_path.read_bytes()))
    labels = read_label_file(entry.labels.read_bytes(), entry, description)
    return make_sample(image, labels, description)


def _resolve(
    description: DatasetDescription | None,
    facts: Mapping[str, Facts],
    entries: Mapping[str, Entry],
) -> tuple[DatasetDescription | None, list[str]]:
    """Determine the channels and the dtype, and find the images with others."""
    if not facts:
        return None, []
    channels = (description and description.channels) or _most_common_channels(facts.values())
    dtype = (description and description.dtype) or _most_common_dtype(facts.values())
    faults = []
    for name, found in facts.items():
        path = f"images/{entries[name].image.name}"
        if found.channels != channels and (found.channels, channels) != (1, 3):
            faults.append(f"{path}: must have {channels} channels; it has {found.channels}")
        if dtype not in (found.dtype, "float32"):
            faults.append(f"{path}: must be {dtype}; it is {found.dtype}")
    if description is None:
        return None, faults
    names = _find_band_names(description, facts.values())
    if len({name.casefold() for name in names if len(name) <= _MOST_CHARACTERS}) != channels:
        names = ()
    return replace(description, channels=channels, dtype=dtype, band_names=names), faults


def _find_band_names(description: DatasetDescription, facts: Iterable[Facts]) -> tuple[str, ...]:
    """Return the names by which the bands are wanted, or those that all images agree on."""
    wanted = description.bands or ()
    if wanted and all(isinstance(band, str) for band in wanted):
        return tuple(str(band) for band in wanted)
    found = {entry.band_names for entry in facts}
    return found.pop() if len(found) == 1 else ()


def _most_common_channels(facts: Iterable[Facts]) -> int:
    """Return the most common number of channels; grey images among others do not count."""
    counts = Counter(found.channels for found in facts)
    return max(counts, key=lambda channels: (channels > 1, counts[channels], channels))


def _most_common_dtype(facts: Iterable[Facts]) -> Depth:
    counts = Counter(found.dtype for found in facts)
    return cast("Depth", max(counts, key=lambda dtype: (counts[dtype], dtype)))


def _take_stock(
    folder: Path,
    description: DatasetDescription,
    training: tuple[Entry, ...],
    validation: tuple[Entry, ...],
    facts: Mapping[str, Facts],
) -> Dataset:
    learnt = [facts[entry.name] for entry in training]
    used = learnt + [facts[entry.name] for entry in validation]
    count = sum(found.valid * found.channels for found in learnt)
    mean = sum(found.total for found in learnt) / count
    variance = max(sum(found.squares for found in learnt) / count - mean**2, 0.0)
    pixels = {
        "training": _count_classes(learnt, len(description.classes)),
        "validation": _count_classes(used[len(learnt) :], len(description.classes)),
    }
    notes = [
        f"no {name} image has a pixel of class {entry.name}"
        for name, counts in pixels.items()
        for entry, pixel_count in zip(description.classes, counts, strict=True)
        if not pixel_count
    ]
    statistics = combine((found.statistics for found in learnt), description.channels or 1)
    notes += _note_unlike(FamiliarRange(statistics), validation, facts)
    notes += _note_bands(facts)
    left_out = len(facts) - len(used)
    if left_out:
        notes.append(f"{left_out} images are in neither {' nor '.join(SPLIT_FILES)}")
    order = [
        f"{part}:{facts[e.name].digest}"
        for part, es in (("t", training), ("v", validation))
        for e in es
    ]
    return Dataset(
        folder=folder,
        description=description,
        training=training,
        validation=validation,
        pixel_mean=mean,
        pixel_scale=variance**0.5 or 1.0,
        statistics=statistics,
        class_pixels=pixels,
        sizes={entry.name: facts[entry.name].size for entry in (*training, *validation)},
        valid_fraction=sum(f.valid for f in used) / sum(f.size[0] * f.size[1] for f in used),
        digest=hashlib.blake2b("\n".join(order).encode(), digest_size=16).hexdigest(),
        notes=tuple(notes),
        scenes={
            entry.name: overview
            for entry in (*training, *validation)
            if (overview := facts[entry.name].overview) is not None
        },
        turns=tuple(entry for entry in training for _ in range(facts[entry.name].turns)),
    )


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


def _count_classes(facts: Sequence[Facts], classes: int) -> tuple[int, ...]:
    return tuple(sum(found.class_pixels[index] for found in facts) for index in range(classes))
