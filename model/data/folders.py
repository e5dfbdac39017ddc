"""Folder of images, label maps and masks, checked as a whole before training.

DIR/dataset.toml         names the model and its classes
DIR/images/NAME.ext      of any format that the server reads, any sizes mixed
DIR/labels/NAME.ext      class ids as they are stored, 255 = unknown; colours; or polygons
DIR/masks/NAME.ext       optional; non-zero = valid
DIR/train.txt, DIR/validation.txt, DIR/test.txt    optional; names, one a line
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

from lacuna.raster.sidecar import choose_mask
from model.data.dataset import Dataset, count_classes, take_stock
from model.data.description import DESCRIPTION_FILE, DatasetDescription, Depth, read_description
from model.data.facts import Facts
from model.data.folds import plan_folds
from model.data.inspection import inspect, inspect_orphan
from model.data.label_files import draw_annotations, read_label_file
from model.data.labelled import LabelledSample, make_sample
from model.data.listing import Entry, list_entries
from model.data.reading import read_image, read_mask
from model.data.scenes import SCENE_BYTES
from model.data.splits import Split, divide_entries, split_entries

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


def read_dataset(folder: Path, scene_bytes: int = SCENE_BYTES, fold: str = "") -> Dataset:
    """Check a folder and summarise its images.

    Args:
        folder: with the layout above.
        scene_bytes: size of the largest decoded image that is read whole.
        fold: number of folds, a slash and the name of one of them, as in `Dataset.fold`; empty for
            the split of the folder.

    Raises:
        DatasetError: lists all faults.
    """
    if fold:
        found = read_folds(folder, fold.partition("/")[0], scene_bytes)
        for one in found:
            if one.fold == fold:
                return one
        raise DatasetError(folder, [f"{DESCRIPTION_FILE}: no fold is {fold} any longer"])
    checked = _check_folder(folder, scene_bytes)
    split, faults = split_entries(folder, checked.entries, checked.description)
    if not faults and checked.resolved is not None:
        faults = _find_unseen(checked.resolved, split, checked.facts)
    return take_stock(folder, checked.resolve(folder, faults), split, checked.facts)


def read_folds(folder: Path, folds: str, scene_bytes: int = SCENE_BYTES) -> list[Dataset]:
    """Check a folder, and split it in several ways; see `plan_folds`.

    Args:
        folder: with the layout above.
        folds: their number, or `BY_GROUP`.
        scene_bytes: size of the largest decoded image that is read whole.

    Raises:
        DatasetError: lists all faults.
    """
    checked = _check_folder(folder, scene_bytes)
    known = checked.description or DatasetDescription("", ())
    planned, faults = plan_folds(checked.entries, known, folds)
    resolved = checked.resolve(folder, faults)
    return [
        replace(take_stock(folder, resolved, split, checked.facts), fold=f"{folds}/{name}")
        for name, split in planned
    ]


def read_labelled(folder: Path) -> Dataset:
    """Check a folder whose images are all there to be scored; see `read_dataset`.

    Returns:
        A data set whose images are those of its `test`, and of its `training`, too.
    """
    checked = _check_folder(folder, SCENE_BYTES)
    entries = checked.entries
    resolved = checked.resolve(folder, [])
    return take_stock(folder, resolved, Split(entries, (), entries), checked.facts)


class _Checked(NamedTuple):
    """A folder of which every file was read.

    Attributes:
        description: None if it has faults.
        resolved: including the channels and the dtype of the images; None if they are not known.
        entries: all images.
        facts: about the images, by name.
        faults: all that is wrong.
    """

    description: DatasetDescription | None
    resolved: DatasetDescription | None
    entries: tuple[Entry, ...]
    facts: Mapping[str, Facts]
    faults: tuple[str, ...]

    def resolve(self, folder: Path, more: Sequence[str]) -> DatasetDescription:
        """Return the description of a folder without faults, further ones included.

        Raises:
            DatasetError: if there are any.
        """
        if self.faults or more or self.resolved is None:
            raise DatasetError(folder, (*self.faults, *more))
        return self.resolved


def _check_folder(folder: Path, scene_bytes: int) -> _Checked:
    description, faults = read_description(folder / DESCRIPTION_FILE)
    faults = [f"{DESCRIPTION_FILE}: {fault}" for fault in faults]
    known = description or DatasetDescription("", ())
    whole, orphans, listing_faults = list_entries(folder, known)
    entries = divide_entries(whole, known)
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(
            pool.map(lambda entry: inspect(entry, description, folder, scene_bytes), entries)
        )
    # Of several parts of an image one may have no labels; it is left out.
    facts = {entry.name: found for entry, (found, _) in zip(entries, results, strict=True) if found}
    faults += listing_faults
    faults += [fault for orphan in orphans for fault in inspect_orphan(orphan, known, folder)]
    faults += [fault for _, found in results for fault in found]
    faults = list(dict.fromkeys(faults))  # an image is read for each of its parts
    entries = [entry for entry in entries if entry.blocks is None or entry.name in facts]
    resolved, odd_ones = _resolve(description, facts, {entry.name: entry for entry in entries})
    return _Checked(description, resolved, tuple(entries), facts, (*faults, *odd_ones))


def _find_unseen(
    description: DatasetDescription, split: Split, facts: Mapping[str, Facts]
) -> list[str]:
    """Return the faults of classes that no training image has, if all of these could be read."""
    if any(entry.name not in facts for entry in split.training):
        return []
    learnt = [facts[entry.name] for entry in split.training]
    counts = count_classes(learnt, len(description.classes))
    return [
        f"{DESCRIPTION_FILE}: classes must occur in training images; none has a pixel of class "
        f"{entry.name}"
        for entry, count in zip(description.classes, counts, strict=True)
        if not count
    ]


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
    if entry.annotations is None:
        labels = read_label_file(entry.labels.read_bytes(), entry, description).labels
    else:
        labels = draw_annotations(entry.annotations, image.size, description, entry.blocks)
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
        path = f"{entries[name].image.parent.name}/{entries[name].image.name}"
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
