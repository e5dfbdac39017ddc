"""Files that are named like the mask of another file: NAME-mask beside NAME, or masks/NAME."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lacuna.cli.segment_inputs import FoundImage

_MASK_STEM = re.compile(r"(.+)[-_. ]masks?", re.IGNORECASE)
_MASK_FOLDERS = frozenset({"mask", "masks"})
_IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs"})


def pair_by_name(found: Sequence[FoundImage]) -> dict[FoundImage, FoundImage]:
    """Return the files that are named like masks, each with its image."""
    images = {(image.path.parent, image.path.stem): image for image in found}
    pairs = {}
    for image in found:
        for place in _guess_images(image.path):
            if place in images:
                pairs[image] = images[place]
                break
    return pairs


def suggest_pattern(image: Path, mask: Path) -> str:
    """Return the pattern that finds the mask of an image."""
    name = mask.name
    if name.startswith(image.stem):
        name = "{stem}" + name.removeprefix(image.stem)
    folder = os.path.relpath(mask.parent, image.parent)
    return name if folder == "." else f"{folder}/{name}"


def _guess_images(path: Path) -> list[tuple[Path, str]]:
    """Return the folders and stems of the images whose mask a file may be, by its name."""
    match = _MASK_STEM.fullmatch(path.stem)
    stems = [path.stem] if match is None else [path.stem, match[1]]
    places = [] if match is None else [(path.parent, match[1])]
    if path.parent.name.lower() in _MASK_FOLDERS:
        above = path.parent.parent
        folders = [above, *(above / name for name in sorted(_IMAGE_FOLDERS))]
        places += [(folder, stem) for folder in folders for stem in stems]
    return places
