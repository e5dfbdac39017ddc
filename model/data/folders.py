"""Folder of images, label maps and masks, checked as a whole before training.

DIR/dataset.toml         names the model and its classes
DIR/images/NAME.ext      of any format that the server reads, any sizes mixed
DIR/labels/NAME.ext      class ids as they are stored; 255 = unknown
DIR/masks/NAME.ext       optional; non-zero = valid
DIR/train.txt, DIR/validation.txt    optional; names, one a line
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.comparison import FamiliarRange
from lacuna.appearance.statistics import (
    ChannelStatistics,
    ImageStatistics,
    combine,
    measure_image,
)
from lacuna.errors import RequestError
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.nodata import NoData
from lacuna.raster.sidecar import choose_mask
from model.data.description import DESCRIPTION_FILE, DatasetDescription, Depth, read_description
from model.data.listing import SPLIT_FILES, Entry, list_entries, show_path, split_entries
from model.data.reading import TrainingImage, read_image, read_labels, read_mask
from model.labels import IGNORE_LABEL

_THREADS = 4
_MOST_CHARACTERS = 100
"""Most characters of a band's name in a manifest."""

_READERS = {"images": read_image, "labels": read_labels, "masks": read_mask}


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


class LabelledSample(NamedTuple):
    """An image with its missing pixels and its labels.

    Attributes:
        image: uint8, uint16 or float32 (H, W, C); 0 where missing.
        mask: bool (H, W), True = valid.
        labels: uint8 (H, W), class ids; `IGNORE_LABEL` where missing or unknown.
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_]
    labels: NDArray[np.uint8]

    def move(self, change: Callable[[Any], Any]) -> LabelledSample:
        """Do the same to image, mask and labels, so that they stay aligned."""
        return LabelledSample(change(self.image), change(self.mask), change(self.labels))


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


@dataclass(frozen=True)
class _Facts:
    """Facts about one image, from its files."""

    digest: str
    dtype: str
    size: tuple[int, int]
    channels: int
    valid: int
    total: float
    squares: float
    statistics: ImageStatistics
    class_pixels: tuple[int, ...]
    band_names: tuple[str, ...]
    doubts: tuple[str, ...]


def read_dataset(folder: Path) -> Dataset:
    """Check a folder and summarise its images.

    Args:
        folder: with the layout above.

    Raises:
        DatasetError: lists all faults.
    """
    description, faults = read_description(folder / DESCRIPTION_FILE)
    faults = [f"{DESCRIPTION_FILE}: {fault}" for fault in faults]
    entries, orphans, listing_faults = list_entries(folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(pool.map(lambda entry: _inspect(entry, description, folder), entries))
    facts = {entry.name: found for entry, (found, _) in zip(entries, results, strict=True) if found}
    faults += listing_faults
    for path in orphans:
        _try(path, folder, hashlib.blake2b(), faults, _READERS[path.parent.name])
    faults += [fault for _, found in results for fault in found]
    resolved, odd_ones = _resolve(description, facts, {entry.name: entry for entry in entries})
    training, validation, split_faults = split_entries(folder, entries, description)
    faults += odd_ones + split_faults
    if faults or resolved is None:
        raise DatasetError(folder, faults)
    return _take_stock(folder, resolved, training, validation, facts)


def load_sample(entry: Entry, description: DatasetDescription) -> LabelledSample:
    """Read one image of a checked folder.

    Args:
        entry: from `Dataset.training` or `Dataset.validation`.
        description: the dataset's.
    """
    mask_path, nodata = choose_mask(entry.image, entry.mask, description.nodata)
    raster, labels = _read_files(
        entry.image.read_bytes(),
        entry.labels.read_bytes(),
        None if mask_path is None else mask_path.read_bytes(),
        nodata,
        description.selection,
    )
    channels = description.channels or raster.values.shape[2]
    values = np.repeat(raster.values, channels // raster.values.shape[2], axis=2)
    values = values.astype(description.dtype or values.dtype, copy=False)
    mask = raster.valid
    return LabelledSample(
        np.where(mask[..., None], values, values.dtype.type(0)),
        mask,
        np.where(mask, labels, IGNORE_LABEL).astype(np.uint8),
    )


def _read_files(
    image: bytes, labels: bytes, mask: bytes | None, nodata: NoData | None, bands: BandSelection
) -> tuple[TrainingImage, NDArray[Any]]:
    raster = read_image(image, nodata, bands)
    if mask is not None:
        raster = raster._replace(valid=raster.valid & read_mask(mask))
    return raster, read_labels(labels)


def _inspect(
    entry: Entry, description: DatasetDescription | None, folder: Path
) -> tuple[_Facts | None, list[str]]:
    """Read the files of one image and return the facts, or the faults."""
    faults: list[str] = []
    digest = hashlib.blake2b(entry.name.encode(), digest_size=16)
    mask_path, nodata = choose_mask(
        entry.image, entry.mask, description.nodata if description else None
    )
    bands = description.selection if description else EVERY_BAND
    raster = _try(entry.image, folder, digest, faults, read_image, nodata, bands)
    labels = _try(entry.labels, folder, digest, faults, read_labels)
    mask = _try(mask_path, folder, digest, faults, read_mask) if mask_path else None
    size = None if raster is None else raster.valid.shape
    for path, found in ((entry.labels, labels), (mask_path, mask)):
        if path is not None and found is not None and size is not None and found.shape != size:
            hint = "; the sides are swapped, as by an EXIF orientation of only one of them"
            faults.append(
                f"{show_path(path, folder)}: must have the image's height and width; "
                f"{entry.image.name} is {_times(size)}, this is {_times(found.shape)}"
                f"{hint if found.shape == size[::-1] else ''}"
            )
    if labels is not None and description is not None:
        unknown = _find_unknown(labels, len(description.classes))
        if unknown:
            faults.append(
                f"{show_path(entry.labels, folder)}: class ids must be 0 to "
                f"{len(description.classes) - 1}, or {IGNORE_LABEL}; it holds {unknown}"
            )
    if faults or raster is None or labels is None:
        return None, faults
    valid = raster.valid if mask is None else raster.valid & mask
    if not (valid & (labels != IGNORE_LABEL)).any():
        return None, [f"{show_path(entry.image, folder)}: no valid pixel has a label"]
    return _measure(raster, valid, labels, digest.hexdigest()), []


def _try(
    path: Path, folder: Path, digest: Any, faults: list[str], read: Any, *arguments: Any
) -> Any:
    try:
        data = path.read_bytes()
        digest.update(hashlib.blake2b(data).digest())
        return read(data, *arguments)
    except RequestError as error:
        faults.append(f"{show_path(path, folder)}: {error.message}")
    except OSError as error:
        faults.append(f"{show_path(path, folder)}: cannot be read; {error.strerror}")
    return None


def _times(size: Sequence[int]) -> str:
    return "×".join(str(side) for side in size)


def _find_unknown(labels: NDArray[Any], classes: int) -> str:
    ids = [int(value) for value in np.unique(labels)]
    unknown = [value for value in ids if not 0 <= value < classes and value != IGNORE_LABEL]
    shown = ", ".join(str(value) for value in unknown[:5])
    return f"{shown}, …" if len(unknown) > 5 else shown


def _measure(
    raster: TrainingImage, valid: NDArray[np.bool_], labels: NDArray[Any], digest: str
) -> _Facts:
    values = raster.values
    inside = values[valid].astype(np.float64)
    known = labels[valid & (labels != IGNORE_LABEL)].astype(np.int64)
    return _Facts(
        digest,
        str(values.dtype),
        (values.shape[0], values.shape[1]),
        values.shape[2],
        int(valid.sum()),
        float(inside.sum()),
        float(np.square(inside).sum()),
        measure_image(values, valid),
        tuple(np.bincount(known, minlength=256).tolist()),
        raster.band_names,
        raster.doubts,
    )


def _resolve(
    description: DatasetDescription | None,
    facts: Mapping[str, _Facts],
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


def _find_band_names(description: DatasetDescription, facts: Iterable[_Facts]) -> tuple[str, ...]:
    """Return the names by which the bands are wanted, or those that all images agree on."""
    wanted = description.bands or ()
    if wanted and all(isinstance(band, str) for band in wanted):
        return tuple(str(band) for band in wanted)
    found = {entry.band_names for entry in facts}
    return found.pop() if len(found) == 1 else ()


def _most_common_channels(facts: Iterable[_Facts]) -> int:
    """Return the most common number of channels; grey images among others do not count."""
    counts = Counter(found.channels for found in facts)
    return max(counts, key=lambda channels: (channels > 1, counts[channels], channels))


def _most_common_dtype(facts: Iterable[_Facts]) -> Depth:
    counts = Counter(found.dtype for found in facts)
    return cast("Depth", max(counts, key=lambda dtype: (counts[dtype], dtype)))


def _take_stock(
    folder: Path,
    description: DatasetDescription,
    training: tuple[Entry, ...],
    validation: tuple[Entry, ...],
    facts: Mapping[str, _Facts],
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
    )


def _note_bands(facts: Mapping[str, _Facts]) -> list[str]:
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
    familiar: FamiliarRange, validation: Sequence[Entry], facts: Mapping[str, _Facts]
) -> list[str]:
    """Note the validation images whose values are unlike those of the training images."""
    notes = []
    for entry in validation:
        difference = familiar.check_image(facts[entry.name].statistics)
        if difference:
            notes.append(f"{entry.image.name} is unlike the training images: {difference}")
    return notes


def _count_classes(facts: Sequence[_Facts], classes: int) -> tuple[int, ...]:
    return tuple(sum(found.class_pixels[index] for found in facts) for index in range(classes))
