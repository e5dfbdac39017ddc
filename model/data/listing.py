"""The files of a folder of images, and its split into training and validation images."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from lacuna.geo.features.files import FEATURE_SUFFIXES
from lacuna.raster.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES
from lacuna.raster.sidecar import SIDECAR_SUFFIX
from model.data.description import DESCRIPTION_FILE, DatasetDescription

DEFAULT_VALIDATION_FRACTION = 0.2
SPLIT_FILES = ("train.txt", "validation.txt")
VRT_SUFFIX = ".vrt"
"""Suffix of GDAL's virtual rasters, which put others together."""

_FOLDERS = {
    "images": (*IMAGE_SUFFIXES, VRT_SUFFIX),
    "labels": (*LABEL_SUFFIXES, VRT_SUFFIX, *FEATURE_SUFFIXES),
    "masks": (*IMAGE_SUFFIXES, VRT_SUFFIX),
}
# What geographic tools write beside an image or polygons.
_SIDECARS = (
    *(".xml", ".tfw", ".wld", ".prj", ".pgw", ".jgw", ".ovr", SIDECAR_SUFFIX),
    *(".qml", ".qmd", ".gpkg-wal", ".gpkg-shm"),
)


class Entry(NamedTuple):
    """The files of one image."""

    name: str
    image: Path
    labels: Path
    mask: Path | None


def list_entries(folder: Path) -> tuple[list[Entry], list[Path], list[str]]:
    """Find the images with their labels and masks.

    Args:
        folder: with `images`, `labels` and, optionally, `masks`. Polygons may stand in `images`.

    Returns:
        The images that have labels, by name; files that belong to none of them; and the faults.
    """
    faults: list[str] = []
    polygons = _list_polygons(folder / "images", faults)
    optional = {"masks", "labels"} if polygons else {"masks"}
    files = {kind: _list_files(folder, kind, faults, optional) for kind in _FOLDERS}
    images, labels, masks = files["images"], files["labels"], files["masks"]
    for name, path in polygons.items():
        if labels.setdefault(name, path) is not path:
            faults.append(f"{show_path(path, folder)}: {show_path(labels[name], folder)} is there")
    bare = [images[name] for name in sorted(images.keys() - labels.keys())]
    orphans = [
        maps[name] for maps in (labels, masks) for name in sorted(maps.keys() - images.keys())
    ]
    faults += [
        f"{show_path(path, folder)}: has no label map labels/{path.stem}, which may be "
        f"{', '.join(_FOLDERS['labels'])}"
        for path in bare
    ]
    faults += [f"{show_path(path, folder)}: has no image images/{path.stem}.*" for path in orphans]
    names = sorted(images.keys() & labels.keys())
    entries = [Entry(name, images[name], labels[name], masks.get(name)) for name in names]
    return entries, bare + orphans, faults


def _list_polygons(images: Path, faults: list[str]) -> dict[str, Path]:
    """Return the polygons beside images by their names without suffix, and add their faults."""
    found: dict[str, Path] = {}
    for path in sorted(images.iterdir()) if images.is_dir() else ():
        is_hidden = path.name.startswith(".")
        if path.suffix.lower() not in FEATURE_SUFFIXES or is_hidden or not path.is_file():
            continue
        if found.setdefault(path.stem, path) is not path:
            faults.append(f"images/{path.name}: {found[path.stem].name} has the same name")
    return found


def _list_files(
    folder: Path, kind: str, faults: list[str], optional: Collection[str]
) -> dict[str, Path]:
    """Return the files of one kind by their names without suffix, and add their faults."""
    directory, suffixes = folder / kind, _FOLDERS[kind]
    if not directory.is_dir():
        if kind not in optional:
            faults.append(f"{kind}/: is missing")
        return {}
    files: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name == "Thumbs.db" or suffix in _SIDECARS:
            continue
        if kind == "images" and suffix in FEATURE_SUFFIXES:
            continue  # labels
        if not path.is_file() or suffix not in suffixes:
            faults.append(f"{show_path(path, folder)}: must be one of {', '.join(suffixes)}")
        elif path.stem in files:
            faults.append(f"{show_path(path, folder)}: {files[path.stem].name} has the same name")
        else:
            files[path.stem] = path
    if not files and kind == "images":
        faults.append("images/: holds no image")
    return files


def show_path(path: Path, folder: Path) -> str:
    """Return a path relative to the folder."""
    return path.relative_to(folder).as_posix()


def split_entries(
    folder: Path, entries: Sequence[Entry], description: DatasetDescription | None
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], list[str]]:
    """Split the images into those for training and those for validation.

    Args:
        folder: may hold the lists of names.
        entries: to split.
        description: may contain the fraction.

    Returns:
        The two parts, and the faults.
    """
    if any((folder / name).exists() for name in SPLIT_FILES):
        training, validation, faults = _split_by_files(folder, entries)
        if description and description.validation_fraction is not None:
            faults.append(
                f"{DESCRIPTION_FILE}: validation_fraction must not be set where there is "
                f"{' or '.join(SPLIT_FILES)}"
            )
    else:
        fraction = (description and description.validation_fraction) or DEFAULT_VALIDATION_FRACTION
        validation = tuple(entry for entry in entries if _draw_place(entry.name) < fraction)
        training = tuple(entry for entry in entries if _draw_place(entry.name) >= fraction)
        faults = []
    for name, part in (("training", training), ("validation", validation)):
        if entries and not part and not faults:
            faults.append(
                f"images/: none of {len(entries)} images is left for {name}; change "
                f"validation_fraction in {DESCRIPTION_FILE}, or list the names in "
                f"{' and '.join(SPLIT_FILES)}"
            )
    return training, validation, faults


def _draw_place(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _split_by_files(
    folder: Path, entries: Sequence[Entry]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], list[str]]:
    by_name = {entry.name: entry for entry in entries}
    known = by_name.keys() | _list_files(folder, "images", [], ()).keys()
    names: dict[str, list[str]] = {}
    faults = []
    for file in SPLIT_FILES:
        try:
            lines = (folder / file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            faults.append(
                f"{file}: is missing or is not text; {' and '.join(SPLIT_FILES)} go together"
            )
            lines = []
        listed = [_strip_suffix(line.strip()) for line in lines if line.strip()]
        names[file] = list(dict.fromkeys(listed))
        faults += [f"{file}: {name} is not an image" for name in names[file] if name not in known]
        if lines and not listed:
            faults.append(f"{file}: names no image")
    for name in names[SPLIT_FILES[0]]:
        if name in names[SPLIT_FILES[1]]:
            faults.append(f"{SPLIT_FILES[1]}: {name} is in {SPLIT_FILES[0]} too")
    training, validation = (
        tuple(by_name[name] for name in sorted(names[file]) if name in by_name)
        for file in SPLIT_FILES
    )
    return training, validation, faults


def _strip_suffix(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in _FOLDERS["images"] else name
