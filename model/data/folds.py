"""Folds of cross-validation: each part of the images is tested on once.

The best weights of a fold are chosen by the next part, not by the one that is tested on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from model.data.description import DESCRIPTION_FILE, DatasetDescription
from model.data.listing import Entry
from model.data.places import draw_place
from model.data.splits import Split, check_groups, find_group

BY_GROUP = "groups"
"""Number of folds that stands for one for each group."""

_FEWEST = 3


class Fold(NamedTuple):
    """A part of the images to test on, with the others.

    Attributes:
        name: of the group that is left out, or the number of the fold from 1.
        split: of all images.
    """

    name: str
    split: Split


def plan_folds(
    entries: Sequence[Entry], description: DatasetDescription, folds: str
) -> tuple[list[Fold], list[str]]:
    """Plan the folds.

    Args:
        entries: all images.
        description: tells the groups, which no fold divides; without, each image is one.
        folds: their number, or `BY_GROUP`.

    Returns:
        The folds, and what is wrong.
    """
    faults = check_groups(entries, description)
    if folds == BY_GROUP and description.group is None:
        faults.append(f"{DESCRIPTION_FILE}: group is missing, by which images are left out")
    if description.blocks is not None:
        faults.append(f"{DESCRIPTION_FILE}: blocks must not be set for folds")
    if faults:
        return [], faults
    groups = sorted({find_group(entry.name, description) for entry in entries})
    count = len(groups) if folds == BY_GROUP else int(folds)
    if not _FEWEST <= count <= len(groups):
        rule = (
            f"{DESCRIPTION_FILE}: folds must be {_FEWEST} or more, one for training, one for "
            "validation and one to test on, and no more than there are groups or images"
        )
        return [], [f"{rule}; they are {count}, of {len(groups)}"]
    if folds == BY_GROUP:
        names, parts = groups, [[group] for group in groups]
    else:
        names = [str(number) for number in range(1, count + 1)]
        parts = [sorted(groups, key=draw_place)[start::count] for start in range(count)]
    return [
        Fold(name, _split(entries, description, parts[place], parts[(place + 1) % count]))
        for place, name in enumerate(names)
    ], []


def _split(
    entries: Sequence[Entry],
    description: DatasetDescription,
    tested: Sequence[str],
    validated: Sequence[str],
) -> Split:
    groups = [(find_group(entry.name, description), entry) for entry in entries]
    return Split(
        tuple(entry for group, entry in groups if group not in (*tested, *validated)),
        tuple(entry for group, entry in groups if group in validated),
        tuple(entry for group, entry in groups if group in tested),
    )
