"""The files of a folder of images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from lacuna.geo.features.files import FEATURE_SUFFIXES
from lacuna.raster.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES
from lacuna.raster.sidecar import SIDECAR_SUFFIX
from model.data.blocks import Blocks
from model.data.coco import CocoImage, find_strangers, read_coco
from model.data.description import DatasetDescription

VRT_SUFFIX = ".vrt"
"""Suffix of GDAL's virtual rasters, which put others together."""

Kind = Literal["images", "labels", "masks"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SHOWN = 5
_SUFFIXES = {
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
    annotations: CocoImage | None = None
    blocks: Blocks | None = None


class Orphan(NamedTuple):
    """A file that belongs to no image, or an image without labels."""

    kind: Kind
    path: Path


def list_entries(
    folder: Path, description: DatasetDescription
) -> tuple[list[Entry], list[Orphan], list[str]]:
    """Find the images with their labels and masks.

    Args:
        folder: with images, labels and, optionally, masks. Polygons may stand beside images.
        description: tells the folders, and the ends of names in them.

    Returns:
        The images that have labels, by name; files that belong to none of them; and the faults.
    """
    faults: list[str] = []
    if description.annotations:
        return _list_annotated(folder, description)
    images_folder = description.images_folder
    polygons = _list_polygons(folder / images_folder, folder, faults)
    optional: set[Kind] = {"masks", "labels"} if polygons else {"masks"}
    images, labels, masks = (
        list_files(folder, kind, description, faults, optional) for kind in KINDS
    )
    for name, path in polygons.items():
        if labels.setdefault(name, path) is not path:
            faults.append(f"{show_path(path, folder)}: {show_path(labels[name], folder)} is there")
    bare = sorted(images.keys() - labels.keys())
    faults += [
        f"{show_path(images[name], folder)}: has no label map {description.labels_folder}/{name}"
        f"{description.label_suffix}, which may be {', '.join(_SUFFIXES['labels'])}"
        for name in bare
    ]
    names = sorted(images.keys() & labels.keys())
    entries = [Entry(name, images[name], labels[name], masks.get(name)) for name in names]
    strays = [
        *_find_strays("labels", labels, images, folder, description, faults),
        *_find_strays("masks", masks, images, folder, description, faults),
    ]
    return entries, [*(Orphan("images", images[name]) for name in bare), *strays], faults


def _list_annotated(
    folder: Path, description: DatasetDescription
) -> tuple[list[Entry], list[Orphan], list[str]]:
    """Find the images of a data set whose labels are annotations of COCO; see `list_entries`."""
    faults: list[str] = []
    images = list_files(folder, "images", description, faults)
    masks = list_files(folder, "masks", description, faults, {"masks"})
    entries: dict[str, Entry] = {}
    for file in description.annotations:
        annotated, wrong = read_coco(folder / file)
        strangers = find_strangers(annotated, description)
        if strangers and description.classes:
            wrong.append(
                "categories must be names of classes, or in ignore; "
                f"{', '.join(strangers[:_SHOWN])} are not"
                + (f", nor are {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else "")
            )
        for image in annotated:
            name = image.stem.removesuffix(description.image_suffix)
            if name not in images:
                wrong.append(f"{image.file} must be in {description.images_folder}/; it is not")
            elif name in entries:
                wrong.append(f"{image.file} must be annotated once; it is again")
            else:
                path = folder / file
                entries[name] = Entry(name, images[name], path, masks.get(name), image)
        faults += [f"{file}: {fault}" for fault in wrong]
    bare = sorted(images.keys() - entries.keys())
    shown = ", ".join(description.annotations)
    faults += [f"{show_path(images[name], folder)}: is not in {shown}" for name in bare]
    strays = _find_strays("masks", masks, images, folder, description, faults)
    orphans = [*(Orphan("images", images[name]) for name in bare), *strays]
    return [entries[name] for name in sorted(entries)], orphans, faults


def _find_strays(
    kind: Kind,
    files: Mapping[str, Path],
    images: Mapping[str, Path],
    folder: Path,
    description: DatasetDescription,
    faults: list[str],
) -> list[Orphan]:
    """Return the files of one kind that have no image, and add their faults."""
    strays = sorted(files.keys() - images.keys())
    faults += [
        f"{show_path(files[name], folder)}: has no image {description.images_folder}/{name}"
        f"{description.image_suffix}.*"
        for name in strays
    ]
    return [Orphan(kind, files[name]) for name in strays]


def _list_polygons(images: Path, folder: Path, faults: list[str]) -> dict[str, Path]:
    """Return the polygons beside images by their names without suffix, and add their faults."""
    found: dict[str, Path] = {}
    for path in sorted(images.iterdir()) if images.is_dir() else ():
        is_hidden = path.name.startswith(".")
        if path.suffix.lower() not in FEATURE_SUFFIXES or is_hidden or not path.is_file():
            continue
        if found.setdefault(path.stem, path) is not path:
            faults.append(f"{show_path(path, folder)}: {found[path.stem].name} has the same name")
    return found


def list_files(
    folder: Path,
    kind: Kind,
    description: DatasetDescription,
    faults: list[str],
    optional: Collection[Kind] = (),
) -> dict[str, Path]:
    """Return the files of one kind by the names of their images, and add their faults.

    Args:
        folder: of the data set.
        kind: of the files.
        description: tells their folder, and the end of their names.
        faults: gets what is wrong.
        optional: kinds whose folder may be missing.
    """
    place, end = getattr(description, f"{kind}_folder"), getattr(description, f"{kind[:-1]}_suffix")
    directory, suffixes = folder / place, _SUFFIXES[kind]
    if not directory.is_dir():
        if kind not in optional:
            faults.append(f"{place}/: is missing")
        return {}
    files: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name == "Thumbs.db" or suffix in _SIDECARS:
            continue
        if kind == "images" and suffix in FEATURE_SUFFIXES:
            continue  # labels
        if end and not path.stem.endswith(end):
            continue  # of another kind
        name = path.stem.removesuffix(end)
        if not path.is_file() or suffix not in suffixes:
            faults.append(f"{show_path(path, folder)}: must be one of {', '.join(suffixes)}")
        elif name in files:
            faults.append(f"{show_path(path, folder)}: {files[name].name} has the same name")
        else:
            files[name] = path
    if not files and kind == "images":
        faults.append(f"{place}/: holds no image" + (f" that ends in {end}" if end else ""))
    return files


def show_path(path: Path, folder: Path) -> str:
    """Return a path relative to the folder."""
    return path.relative_to(folder).as_posix()
