"""Summary of many segmented images, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from lacuna.cli.segment_run import ImageSuccess

MOST_ROWS = 20
"""Most images that a table on a terminal names."""


def describe(image: ImageSuccess, output: str) -> str:
    """Describe the result of one image in a line.

    Args:
        image: segmented image.
        output: name of its output.
    """
    height, width = image.size
    whole = max(image.valid_pixels, 1)
    areas = ", ".join(f"{name} {area.pixels / whole:.1%}" for name, area in image.areas.items())
    return f"{output}: {height}×{width}, {_share(image.valid_pixels, image)} valid; {areas}"


def describe_warnings(
    images: Sequence[ImageSuccess], name: Callable[[Path], str] = str
) -> Iterator[str]:
    """Describe the warnings about images, in a line for each kind.

    Args:
        images: segmented images.
        name: function that returns the name of a file.
    """
    kinds: dict[str, list[tuple[ImageSuccess, str]]] = {}
    for image in images:
        for warning in image.warnings:
            kinds.setdefault(warning.code, []).append((image, warning.message))
    for code, found in kinds.items():
        first, message = found[0]
        whose = name(first.plan.image)
        if len(images) > 1:
            whose = f"{len(found)} of {len(images)} images, first {whose}"
        yield f"warning ({code}): {whose}: {message}"


def draw_table(images: Sequence[ImageSuccess], most: int | None = MOST_ROWS) -> Table:
    """Make a table with a row for each image, and a row of totals.

    Args:
        images: segmented images, at least one.
        most: most rows of images; None for all.
    """
    names = list(dict.fromkeys(name for image in images for name in image.areas))
    table = Table("image", "size", "valid", *names, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for image in images[:most]:
        height, width = image.size
        row = _list_shares(names, image.valid_pixels, {n: a.pixels for n, a in image.areas.items()})
        valid = _share(image.valid_pixels, image)
        table.add_row(image.plan.image.name, f"{height}×{width}", valid, *row)
    if most is not None and len(images) > most:
        table.add_row(f"… {len(images) - most} more")
    table.add_section()
    pixels = sum(image.size[0] * image.size[1] for image in images)
    valid_pixels = sum(image.valid_pixels for image in images)
    totals = {
        name: sum(image.areas[name].pixels for image in images if name in image.areas)
        for name in names
    }
    row = _list_shares(names, valid_pixels, totals)
    whole = f"{pixels / 1e6:.1f} MP"
    table.add_row(f"{len(images)} images", whole, f"{valid_pixels / pixels:.1%}", *row)
    return table


def _list_shares(
    names: Sequence[str], valid_pixels: int, areas: Mapping[str, int]
) -> Iterator[str]:
    for name in names:
        yield f"{areas[name] / max(valid_pixels, 1):.1%}" if name in areas else ""


def _share(pixels: int, image: ImageSuccess) -> str:
    return f"{pixels / (image.size[0] * image.size[1]):.1%}"
