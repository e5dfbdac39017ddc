"""The classes of a data set: in `dataset.toml`, or in the tables that annotation tools write."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLOR = re.compile(r"#[0-9a-fA-F]{6}")
TABLE_SUFFIXES = (".json", ".csv")
"""Suffixes of tables of classes."""

_RULE = 'classes must be a list of 2 to 255 like {name = "water", color = "#4477aa"}'
_MOST_CLASSES = 255
_MOST_VALUE = 2**31 - 1


@dataclass(frozen=True)
class ClassDescription:
    """A class that a pixel can belong to.

    Attributes:
        name: for people.
        color: `#rrggbb`, in label maps that are coloured, and for pictures of it.
        value: number of the class in label maps and of polygons; None for its place among the
            classes.
    """

    name: str
    color: str
    value: int | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        return parse_color(self.color)


def parse_color(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of `#rrggbb`, 0 to 255."""
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def read_classes(value: Any, folder: Path) -> tuple[tuple[ClassDescription, ...], list[str]]:
    """Read the classes that `dataset.toml` lists, or names a table of.

    Args:
        value: of the key `classes`: a list, or the name of a file.
        folder: of the data set.

    Returns:
        The classes, and all that is wrong; none of the classes if anything is.
    """
    if isinstance(value, str) and value.lower().endswith(TABLE_SUFFIXES):
        try:
            value = _read_table(folder / value)
        except (OSError, ValueError, KeyError, TypeError) as error:
            fault = (
                f"classes: {value} must be a table of names and colors, as JSON or as CSV with the "
                f"columns name, r, g, b; {type(error).__name__}: {error}"
            )
            return (), [fault]
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_CLASSES:
        return (), [f"{_RULE}, or the name of a .json or .csv; it is {value!r}"]
    faults = [
        f"classes: number {index} must have a name of 1 to 100 letters, a color like #4477aa and "
        f"at most a value, a whole number, besides; it is {entry!r}"
        for index, entry in enumerate(value)
        if not _is_class(entry)
    ]
    if faults:
        return (), faults
    classes = tuple(ClassDescription(**entry) for entry in value)
    for name in ("name", "value"):
        found = [getattr(entry, name) for entry in classes]
        repeated = sorted({str(x) for x in found if x is not None and found.count(x) > 1})
        if repeated:
            faults.append(f"classes must have different {name}s; {', '.join(repeated)} is repeated")
    numbered = [entry for entry in classes if entry.value is not None]
    if len(numbered) not in (0, len(classes)):
        faults.append(f"classes must all have a value, or none; {len(numbered)} have one")
    return (() if faults else classes), faults


def check_count(classes: tuple[ClassDescription, ...]) -> list[str]:
    """Return what is wrong with the number of the classes that are not ignored."""
    return [] if len(classes) >= 2 else [f"{_RULE}; {len(classes)} is left"]


def _is_class(value: Any) -> bool:
    if not isinstance(value, dict) or not {"name", "color"} <= value.keys() <= {
        "name",
        "color",
        "value",
    }:
        return False
    number = value.get("value", 0)
    return (
        isinstance(value["name"], str)
        and 1 <= len(value["name"]) <= 100
        and isinstance(value["color"], str)
        and COLOR.fullmatch(value["color"]) is not None
        and isinstance(number, int)
        and not isinstance(number, bool)
        and 0 <= number <= _MOST_VALUE
    )


def _read_table(path: Path) -> list[dict[str, Any]]:
    """Read a table of classes as annotation tools write it."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        content = json.loads(text)
        rows = content["classes"] if isinstance(content, dict) else content
        return [{"name": row.get("title", row.get("name")), "color": row["color"]} for row in rows]
    lines = csv.DictReader(text.splitlines(), skipinitialspace=True)
    rows = [{key.strip().lower(): value for key, value in row.items() if key} for row in lines]
    return [
        {
            "name": row["name"],
            "color": "#{:02x}{:02x}{:02x}".format(*(int(row[part]) for part in "rgb")),
        }
        for row in rows
    ]
