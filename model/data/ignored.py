"""Labels that mean unknown: `ignore` in `dataset.toml`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from model.data.classes import COLOR, ClassDescription, parse_color


class Ignored(NamedTuple):
    """Classes that are left, and labels that mean unknown.

    Attributes:
        classes: those that are learnt.
        values: numbers in label maps that mean unknown.
        colors: the same of coloured ones.
        names: of the classes that are left out.
        faults: all that is wrong.
    """

    classes: tuple[ClassDescription, ...]
    values: tuple[int, ...]
    colors: tuple[tuple[int, int, int], ...]
    names: tuple[str, ...]
    faults: tuple[str, ...]


def leave_out(classes: tuple[ClassDescription, ...], ignored: Any) -> Ignored:
    """Leave out what is ignored. The other classes keep their numbers in label maps.

    Args:
        classes: all of them.
        ignored: one or several of numbers, colors and names of classes.
    """
    numbered = [
        entry if entry.value is not None else replace(entry, value=place)
        for place, entry in enumerate(classes)
    ]
    values: list[int] = []
    colors: list[tuple[int, int, int]] = []
    faults, left_out = [], []
    for given in ignored if isinstance(ignored, list) else [ignored]:
        if isinstance(given, int) and not isinstance(given, bool):
            values.append(given)
            faults += [
                f"ignore must hold no number of a class; {given} is {entry.name}, unless the "
                "classes have values"
                for entry in numbered
                if entry.value == given
            ]
        elif isinstance(given, str) and COLOR.fullmatch(given):
            colors.append(parse_color(given))
            left_out += [entry for entry in numbered if entry.rgb == colors[-1]]
        elif any(entry.name == given for entry in numbered):
            left_out += [entry for entry in numbered if entry.name == given]
        else:
            faults.append(
                "ignore must hold numbers, colors like #4477aa, or names of classes; "
                f"{given!r} is none"
            )
    kept = tuple(entry for entry in numbered if entry not in left_out)
    return Ignored(
        kept if left_out else classes,
        (*values, *(entry.value or 0 for entry in left_out)),
        (*colors, *(entry.rgb for entry in left_out)),
        tuple(entry.name for entry in left_out),
        tuple(faults),
    )
