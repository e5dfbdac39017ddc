"""Inspection of the files of an image: facts, or all their faults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import LacunaError
from lacuna.geo.source import open_raster
from lacuna.raster.formats import IMAGE_SUFFIXES
from lacuna.raster.sidecar import choose_mask
from lacuna.windows.window import Window
from model.data.coco import CocoImage
from model.data.description import DatasetDescription
from model.data.facts import Facts, SceneMeasurement, measure
from model.data.label_files import (
    check_size,
    draw_annotations,
    has_polygons,
    open_labels,
    read_label_file,
)
from model.data.listing import Entry, Orphan, show_path
from model.data.reading import TrainingImage, read_colors, read_image, read_labels, read_mask
from model.data.scenes import SCENE_BYTES, Scene, is_scene, open_image
from model.labels import IGNORE_LABEL

_NOTHING_LEARNT = "no valid pixel has a label"
_READERS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {
        "images": read_image,
        "labels": read_labels,
        "masks": read_mask,
    }
)

Found = TypeVar("Found")


def inspect(
    entry: Entry, description: DatasetDescription | None, folder: Path, scene_bytes: int
) -> tuple[Facts | None, list[str]]:
    """Read the files of an image.

    Args:
        entry: the files.
        description: of the dataset; None if it has faults.
        folder: of the dataset.
        scene_bytes: size of the largest decoded image that is read whole.

    Returns:
        The facts, None if something is wrong; and all that is wrong.
    """
    if description is None and (has_polygons(entry) or entry.annotations is not None):
        return None, []  # their classes are not known
    known = description or DatasetDescription("", ())
    inspection = _Inspection(entry, known, folder)
    if is_scene(entry, known, scene_bytes):
        facts = inspection.inspect_scene()
    else:
        facts = inspection.inspect_files()
    return (None if inspection.faults else facts), inspection.faults


def inspect_orphan(orphan: Orphan, description: DatasetDescription, folder: Path) -> list[str]:
    """Return what is wrong with a file that lacks others, besides; large ones are not read."""
    path, read = orphan.path, _READERS[orphan.kind]
    if orphan.kind == "labels" and description.labels == "colors":
        read = read_colors
    inspection = _Inspection(Entry(path.stem, path, path, None), description, folder)
    if path.suffix.lower() in IMAGE_SUFFIXES and path.stat().st_size <= SCENE_BYTES:
        inspection.read_file(path, read)
    return inspection.faults


class _Inspection:
    """Reading of an image's files that gathers their faults."""

    def __init__(self, entry: Entry, description: DatasetDescription, folder: Path) -> None:
        self._entry, self._description, self._folder = entry, description, folder
        self._digest = hashlib.blake2b(entry.name.encode(), digest_size=16)
        self.faults: list[str] = []

    def inspect_files(self) -> Facts | None:
        """Return the facts about an image that is read whole."""
        entry, description = self._entry, self._description
        mask_path, nodata = choose_mask(entry.image, entry.mask, description.nodata)
        bands = description.selection
        image = self.read_file(entry.image, lambda data: read_image(data, nodata, bands))
        if entry.annotations is None:
            labels = self._read_labels()
        else:
            labels = self._draw_annotations(entry.annotations, image)
        mask = self.read_file(mask_path, read_mask) if mask_path else None
        if image is not None:
            for path, found in ((entry.labels, labels), (mask_path, mask)):
                if path is not None and found is not None:
                    self._check_size(path, found.shape, image.valid.shape)
        if self.faults or image is None or labels is None:
            return None
        valid = image.valid if mask is None else image.valid & mask
        if entry.blocks is not None:
            valid = valid & entry.blocks.select(Window(0, 0, *valid.shape))
        # Where no class is known, no label is.
        known = valid & (labels != IGNORE_LABEL) if description.classes else valid
        if not known.any():
            self._tell_nothing_learnt()
            return None
        return measure(image._replace(valid=valid), labels, self._digest.hexdigest())

    def inspect_scene(self) -> Facts | None:
        """Return the facts about a scene, which is read once, window by window."""
        scene = self._open_scene()
        if scene is None:
            return None
        measurement = SceneMeasurement(scene.size)
        for window in scene.plan_windows():
            if not scene.may_hold_data(window):
                continue
            image = self._try(self._entry.image, partial(scene.read_image, window))
            labels = self._try(self._entry.labels, partial(scene.read_labels, window))
            if image is None or labels is None:
                return None
            self._hash(image, labels)
            if self._entry.blocks is not None:
                image = image._replace(valid=image.valid & self._entry.blocks.select(window))
            measurement.add(window, image, labels)
        for fault in scene.labels.faults:
            self._tell(self._entry.labels, fault)
        facts = measurement.finish(self._digest.hexdigest(), scene.image.notes)
        is_unlabelled = bool(self._description.classes) or measurement.is_empty
        if facts is None and not self.faults and is_unlabelled:
            self._tell_nothing_learnt()
        return facts

    def _read_labels(self) -> NDArray[np.uint8] | None:
        entry, description = self._entry, self._description
        found = self.read_file(entry.labels, lambda data: read_label_file(data, entry, description))
        if found is not None and found.fault:
            self._tell(entry.labels, found.fault)
        return None if found is None else found.labels

    def _draw_annotations(
        self, annotations: CocoImage, image: TrainingImage | None
    ) -> NDArray[np.uint8] | None:
        """Draw the annotations of an image; if it cannot be read, on the size that they state."""
        self._digest.update(repr(annotations.shapes).encode())
        size = annotations.size if image is None else image.size
        if size is None:
            return None
        description, blocks = self._description, self._entry.blocks
        return self._try(
            self._entry.labels,
            lambda: draw_annotations(annotations, size, description, blocks),
        )

    def _open_scene(self) -> Scene | None:
        entry, description = self._entry, self._description
        image = self._try(entry.image, lambda: open_image(entry, description))
        mask = self._try(entry.mask, partial(open_raster, entry.mask)) if entry.mask else None
        if image is None:
            return None
        labels = self._try(entry.labels, lambda: open_labels(entry, image.grid, description))
        if entry.mask and mask is not None:
            self._check_size(entry.mask, mask.grid.size, image.grid.size)
        if self.faults or labels is None:
            return None
        return Scene(image, mask, labels, description)

    def read_file(self, path: Path, decode: Callable[[bytes], Found]) -> Found | None:
        """Read a file and add it to the digest."""

        def read() -> Found:
            data = path.read_bytes()
            self._digest.update(hashlib.blake2b(data).digest())
            return decode(data)

        return self._try(path, read)

    def _try(self, path: Path, read: Callable[[], Found]) -> Found | None:
        try:
            return read()
        except LacunaError as error:
            self._tell(path, error.message)
        except OSError as error:
            self._tell(path, f"cannot be read; {error.strerror}")
        return None

    def _hash(self, image: TrainingImage, labels: NDArray[Any]) -> None:
        """Add what is valid in a window to the digest, whatever its files look like."""
        parts = [image.values, labels]
        if not image.valid.all():
            parts = [part[image.valid] for part in parts]
        for part in (image.valid, *parts):
            self._digest.update(np.ascontiguousarray(part).data)

    def _check_size(self, path: Path, found: tuple[int, ...], size: tuple[int, ...]) -> None:
        self._try(path, lambda: check_size(found, size, self._entry.image.name))

    def _tell_nothing_learnt(self) -> None:
        if self._entry.blocks is None:  # other blocks may have labels
            self._tell(self._entry.image, _NOTHING_LEARNT)

    def _tell(self, path: Path, fault: str) -> None:
        annotated = self._entry.annotations if path == self._entry.labels else None
        where = f" of {annotated.file}" if annotated else ""
        self.faults.append(f"{show_path(path, self._folder)}{where}: {fault}")
