"""Summary of many segmented images, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from lacuna.cli.segment_run import Done

_MOST_ROWS = 20


def describe(done: Done) -> str:
    """Describe the result of one image in a line."""
    height, width = done.size
    whole = max(done.valid_pixels, 1)
    areas = ", ".join(f"{name} {area.pixels / whole:.1%}" for name, area in done.areas.items())
    return f"{done.job.output}: {height}×{width}, {_share(done.valid_pixels, done)} valid; {areas}"


def draw_table(images: Sequence[Done]) -> Table:
    """Draw a row for each image, if there are few, and one for all of them.

    Args:
        images: that were segmented, at least one.
    """
    names = list(dict.fromkeys(name for done in images for name in done.areas))
    table = Table("image", "size", "valid", *names, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for done in images[:_MOST_ROWS]:
        height, width = done.size
        row = _list_shares(names, done.valid_pixels, {n: a.pixels for n, a in done.areas.items()})
        valid = _share(done.valid_pixels, done)
        table.add_row(done.job.image.name, f"{height}×{width}", valid, *row)
    if len(images) > _MOST_ROWS:
        table.add_row(f"… {len(images) - _MOST_ROWS} more")
    table.add_section()
    pixels = sum(done.size[0] * done.size[1] for done in images)
    valid_pixels = sum(done.valid_pixels for done in images)
    totals = {
        name: sum(done.areas[name].pixels for done in images if name in done.areas)
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


def _share(pixels: int, done: Done) -> str:
    return f"{pixels / (done.size[0] * done.size[1]):.1%}"
