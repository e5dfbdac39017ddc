"""The split of the images: for training, for validation, and for the final score.

The name of an image decides its part, or that of its group, so adding images moves no other one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lacuna.raster.formats import IMAGE_SUFFIXES
from model.data.blocks import Blocks
from model.data.description import DESCRIPTION_FILE, DatasetDescription
from model.data.listing import VRT_SUFFIX, Entry, list_files
from model.data.places import draw_place

DEFAULT_VALIDATION_FRACTION = 0.2
SPLIT_FILES = ("train.txt", "validation.txt")
TEST_FILE = "test.txt"

_PARTS = ("training", "validation", "test")
_SHOWN = 5

Entries = tuple[Entry, ...]


class Split(NamedTuple):
    """Parts of a data set.

    Attributes:
        training: images that are trained on.
        validation: images that the best weights are chosen by.
        test: images for the final score, which nothing is chosen by; there may be none.
    """

    training: Entries
    validation: Entries
    test: Entries = ()


def find_group(name: str, description: DatasetDescription) -> str:
    """Return the group of an image; its name if there are no groups.

    Args:
        name: of the image.
        description: of the data set.

    Returns:
        What the parentheses of `group` hold, joined by dashes, or all that it matches if it has
        none; empty if the name does not match.
    """
    if description.group is None:
        return name
    found = re.fullmatch(description.group, name)
    if found is None:
        return ""
    return "-".join(part or "" for part in found.groups()) or found[0]


def check_groups(entries: Sequence[Entry], description: DatasetDescription) -> list[str]:
    """Return what is wrong with the groups: images in none, and named groups without images."""
    if description.group is None:
        return []
    groups = {entry.name: find_group(entry.name, description) for entry in entries}
    stray = [name for name, group in groups.items() if not group]
    faults = []
    if stray:
        shown = ", ".join(stray[:_SHOWN])
        shown += f" and {len(stray) - _SHOWN} more" * (len(stray) > _SHOWN)
        faults.append(
            f"{DESCRIPTION_FILE}: group must match the name of each image; {shown} do not match "
            f"{description.group}"
        )
    known = sorted(set(groups.values()) - {""})
    for key in ("validation_groups", "test_groups"):
        empty = [name for name in getattr(description, key) if name not in known]
        if empty:
            faults.append(
                f"{DESCRIPTION_FILE}: {key} must name groups of images; {', '.join(empty)} has "
                f"none: there are {', '.join(known)}"
            )
    return faults


def split_entries(
    folder: Path, entries: Sequence[Entry], description: DatasetDescription | None
) -> tuple[Split, list[str]]:
    """Split the images.

    Args:
        folder: may hold the lists of names.
        entries: to split.
        description: may contain groups and fractions.

    Returns:
        The parts, and the faults.
    """
    known = description or DatasetDescription("", ())
    faults = check_groups(entries, known)
    if known.blocks is not None:
        split, wrong = _split_by_blocks(folder, entries)
        faults += wrong
    elif any((folder / name).exists() for name in (*SPLIT_FILES, TEST_FILE)):
        split, wrong = _split_by_files(folder, entries, known)
        faults += wrong
    elif faults:
        return Split((), ()), faults  # of groups that nobody knows
    else:
        split = _split_by_groups(entries, known)
    for name, part in zip(_PARTS[:2], split[:2], strict=True):
        if entries and not part and not faults:
            faults.append(
                f"{known.images_folder}/: none of {len(entries)} images is left for {name}; change "
                f"validation_fraction in {DESCRIPTION_FILE}, or list the names in "
                f"{' and '.join(SPLIT_FILES)}"
            )
    return split, faults


def divide_entries(entries: Sequence[Entry], description: DatasetDescription) -> list[Entry]:
    """Divide images into the parts of the split by blocks, where that is wanted.

    Args:
        entries: whole images.
        description: tells the side of a block, and the fractions of them.

    Returns:
        The images, or up to three entries for each, named after their parts.
    """
    if description.blocks is None:
        return list(entries)
    low = description.validation_fraction or DEFAULT_VALIDATION_FRACTION
    high = 1 - (description.test_fraction or 0.0)
    limits = {"training": (low, high), "validation": (0.0, low), "test": (high, 1.0)}
    return [
        entry._replace(
            name=f"{entry.name}, {part}", blocks=Blocks(entry.name, description.blocks, *limit)
        )
        for entry in entries
        for part, limit in limits.items()
        if limit[0] < limit[1]
    ]


def _split_by_blocks(folder: Path, entries: Sequence[Entry]) -> tuple[Split, list[str]]:
    faults = [
        f"{name}: must not be there if {DESCRIPTION_FILE} sets blocks"
        for name in (*SPLIT_FILES, TEST_FILE)
        if (folder / name).exists()
    ]
    parts = (
        tuple(entry for entry in entries if entry.name.endswith(f", {part}")) for part in _PARTS
    )
    return Split(*parts), faults


def _split_by_groups(entries: Sequence[Entry], description: DatasetDescription) -> Split:
    """Split by the groups that are named, or by the place of each group from 0 to 1."""
    fraction = description.validation_fraction or DEFAULT_VALIDATION_FRACTION
    test_fraction = description.test_fraction or 0.0
    parts: Mapping[str, list[Entry]] = {name: [] for name in _PARTS}
    for entry in entries:
        group = find_group(entry.name, description)
        place = draw_place(group)
        if group in description.test_groups or place >= 1 - test_fraction:
            parts["test"].append(entry)
        elif description.validation_groups:
            is_held = group in description.validation_groups
            parts["validation" if is_held else "training"].append(entry)
        else:
            parts["validation" if place < fraction else "training"].append(entry)
    return Split(*(tuple(part) for part in parts.values()))


def _split_by_files(
    folder: Path, entries: Sequence[Entry], description: DatasetDescription
) -> tuple[Split, list[str]]:
    by_name = {entry.name: entry for entry in entries}
    known = by_name.keys() | list_files(folder, "images", description, []).keys()
    faults = [
        f"{DESCRIPTION_FILE}: {key} must not be set where there is {' or '.join(SPLIT_FILES)}"
        for key in ("validation_fraction", "test_fraction", "validation_groups", "test_groups")
        if getattr(description, key)
    ]
    names: dict[str, list[str]] = {}
    for file in (*SPLIT_FILES, TEST_FILE):
        names[file], wrong = _read_names(folder / file, is_needed=file in SPLIT_FILES)
        faults += wrong
        faults += [f"{file}: {name} is not an image" for name in names[file] if name not in known]
    faults += _find_doubles(names)
    if description.group is not None:
        groups = {
            file: sorted({find_group(name, description) for name in listed if name in known} - {""})
            for file, listed in names.items()
        }
        faults += _find_doubles(groups, "group ")
    return Split(
        *(
            tuple(by_name[name] for name in sorted(listed) if name in by_name)
            for listed in names.values()
        )
    ), faults


def _find_doubles(names: Mapping[str, Sequence[str]], kind: str = "") -> list[str]:
    """Return the faults of names that several files list."""
    first: dict[str, str] = {}
    return [
        f"{file}: {kind}{name} is in {first[name]} too"
        for file, listed in names.items()
        for name in listed
        if first.setdefault(name, file) != file
    ]


def _read_names(path: Path, *, is_needed: bool) -> tuple[list[str], list[str]]:
    """Return the names that a file lists, and its faults."""
    if not is_needed and not path.exists():
        return [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return [], [
            f"{path.name}: is missing or is not text; {' and '.join(SPLIT_FILES)} go together"
        ]
    listed = [_strip_suffix(line.strip()) for line in lines if line.strip()]
    faults = [f"{path.name}: names no image"] if lines and not listed else []
    return list(dict.fromkeys(listed)), faults


def _strip_suffix(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in (*IMAGE_SUFFIXES, VRT_SUFFIX) else name
