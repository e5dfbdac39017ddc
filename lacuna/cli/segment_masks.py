"""Masks of the images that `lacuna segment` is given, by their names.

1. The mask of an image that is segmented is not an image. In a folder or glob, the mask of another
   image of that folder is not one either.
2. A file in a folder or glob that has the form of the pattern, but no mask of its own, is a mask
   whose image is missing. It is refused; with `--mask-optional` it is left out.
3. A file that is named like the mask of another image (NAME-mask beside NAME, or masks/NAME), but
   is not used as one, is refused: somebody forgot `--mask`, and as an image it means nothing. With
   `--mask none` it is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from lacuna.cli.mask_names import pair_by_name, suggest_pattern
from lacuna.cli.mask_patterns import NO_MASKS, find_mask, has_form
from lacuna.cli.segment_inputs import FoundImage, is_image

_SHOWN = 3


def leave_out_masks(
    found: Sequence[FoundImage], pattern: str | None, *, optional: bool
) -> list[FoundImage]:
    """Return the files that are images rather than masks.

    Args:
        found: image files of the command line.
        pattern: as for `find_mask`.
        optional: True if images without a mask, and masks without an image, are no fault.

    Raises:
        click.UsageError: if a file may be a mask or an image.
    """
    if pattern == NO_MASKS:
        masks = set(pair_by_name(found))
        return [image for image in found if image not in masks]
    images = list(found)
    if pattern is not None:
        images = _leave_out_used(found, pattern)
        lone = {image: None for image in images if _is_lone_mask(image, pattern)}
        if lone and not optional:
            raise click.UsageError(
                f"each mask must have its image; {_list(image.path for image in lone)} "
                "has none (--mask-optional leaves such masks out)"
            )
        images = [image for image in images if image not in lone]
    _refuse_unused(images)
    return images


def check_masks(images: Iterable[Path], pattern: str | None, *, optional: bool) -> None:
    """Hold each image to have a mask that is another file.

    Args:
        images: image files.
        pattern: as for `find_mask`.
        optional: True if a mask may be missing.

    Raises:
        click.UsageError: if a mask is missing or is the image itself.
    """
    missing = []
    for image in images:
        mask = find_mask(image, pattern)
        if mask is not None and _place(mask) == _place(image):
            raise click.UsageError(f"an image must not be its own mask; {image} is")
        if mask is not None and not mask.is_file():
            missing.append(f"{mask} of {image}")
    if missing and not optional:
        raise click.UsageError(
            f"every image must have its mask; missing are {_list(missing)} "
            "(--mask-optional segments images without one)"
        )


def _leave_out_used(found: Sequence[FoundImage], pattern: str) -> list[FoundImage]:
    used = _place_masks((image.path for image in found), pattern)
    # A glob may find the mask of an image that it does not find.
    folders = {image.path.parent for image in found if not image.is_named}
    near = _place_masks((path for folder in folders for path in _list_images(folder)), pattern)
    return [
        image
        for image in found
        if _place(image.path) not in (used if image.is_named else used | near)
    ]


def _place_masks(images: Iterable[Path], pattern: str) -> set[str]:
    masks = ((image, find_mask(image, pattern)) for image in images)
    places = ((_place(image), _place(mask)) for image, mask in masks if mask is not None)
    return {mask for image, mask in places if mask != image}


def _list_images(folder: Path) -> Iterable[Path]:
    return filter(is_image, folder.iterdir())


def _is_lone_mask(image: FoundImage, pattern: str) -> bool:
    mask = find_mask(image.path, pattern)
    if image.is_named or mask is None:
        return False
    return _place(mask) == _place(image.path) or (
        not mask.is_file() and has_form(image.path, pattern)
    )


def _refuse_unused(images: Sequence[FoundImage]) -> None:
    pairs = pair_by_name(images)
    if not pairs:
        return
    mask, image = next(iter(pairs.items()))
    pattern = suggest_pattern(image.path, mask.path)
    shown = _list(f"{mask.path} beside {image.path}" for mask, image in pairs.items())
    raise click.UsageError(
        f"a file that is named like a mask must be used as one or left out; there is {shown} "
        f"(--mask '{pattern}' uses masks, --mask none leaves them out; "
        "to segment one, name it without its image)"
    )


def _place(path: Path) -> str:
    """Return the same path for all spellings of it, except through links."""
    return os.path.abspath(path)  # noqa: PTH100 (pathlib keeps .. or follows links, slowly)


def _list(things: Iterable[object]) -> str:
    texts = [str(thing) for thing in things]
    rest = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(texts[:_SHOWN])}{rest}"
