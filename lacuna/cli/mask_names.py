"""Files that are named like the mask of another file, in any case.

These are NAME-mask and mask_NAME beside NAME, and masks/NAME.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lacuna.cli.segment_inputs import FoundImage

_MASK_STEM = re.compile(r"(.+)[-_. ]masks?|masks?[-_. ](.+)", re.IGNORECASE)
_MASK_FOLDERS = frozenset({"mask", "masks"})
_IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs"})


def pair_by_name(found: Sequence[FoundImage]) -> dict[FoundImage, FoundImage]:
    """Return the files that are named like masks, each with its image."""
    images = {(image.path.parent, image.path.stem.casefold()): image for image in found}
    pairs = {}
    for image in found:
        for place in _guess_images(image.path):
            named = images.get(place, image)
            if named is not image:
                pairs[image] = named
                break
    return pairs


def suggest_pattern(image: Path, mask: Path) -> str:
    """Return the pattern that finds the mask of an image."""
    if mask.stem.startswith(image.stem):
        name = f"{{stem}}{mask.name.removeprefix(image.stem)}"
    elif mask.stem.endswith(image.stem):
        name = f"{mask.stem.removesuffix(image.stem)}{{stem}}{mask.suffix}"
    else:
        return str(mask)  # it differs in case
    folder = os.path.relpath(mask.parent, image.parent)
    return name if folder == "." else f"{folder}/{name}"


def _guess_images(path: Path) -> list[tuple[Path, str]]:
    """Return the folders and folded stems of the images whose mask a file may be, by its name."""
    match = _MASK_STEM.fullmatch(path.stem)
    image_stem = None if match is None else (match[1] or match[2]).casefold()
    stems = [path.stem.casefold(), *([] if image_stem is None else [image_stem])]
    places = [] if image_stem is None else [(path.parent, image_stem)]
    if path.parent.name.lower() in _MASK_FOLDERS:
        above = path.parent.parent
        folders = [above, *(above / name for name in sorted(_IMAGE_FOLDERS))]
        places += [(folder, stem) for folder in folders for stem in stems]
    return places
