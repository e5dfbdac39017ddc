"""Areas of classes, as a table."""

from __future__ import annotations

import html
from typing import Any, NamedTuple


class Area(NamedTuple):
    """Part of an image that belongs to a class.

    Attributes:
        pixels: number of pixels.
        fraction: share of the valid pixels.
        area_m2: area on the ellipsoid; None if it is not known.
    """

    pixels: int
    fraction: float
    area_m2: float | None = None


class AreaTable(dict[str, Area]):
    """Area of each class, by its name. It prints as a table."""

    def __repr__(self) -> str:
        """Return the table as text."""
        rows = self._list_rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        head, *body = ([html.escape(text) for text in row] for row in self._list_rows())
        rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in body)
        titles = "</th><th>".join(head)
        return f"<table><thead><tr><th>{titles}</th></tr></thead><tbody>{rows}</tbody></table>"

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each class.

        Returns:
            Columns `pixels`, `fraction` and, if it is known, `area_m2`; the index is `class`.

        Raises:
            ModuleNotFoundError: if pandas is not installed.
        """
        import pandas  # noqa: ICN001, PLC0415 (optional)

        index = pandas.Index(list(self), name="class")
        table = pandas.DataFrame(list(self.values()), index=index, columns=list(Area._fields))
        return table if self._has_m2 else table.drop(columns="area_m2")

    @property
    def _has_m2(self) -> bool:
        return any(area.area_m2 is not None for area in self.values())

    def _list_rows(self) -> list[list[str]]:
        rows = [["class", "pixels", "fraction", "m²"]]
        for name, area in self.items():
            square_m = "" if area.area_m2 is None else f"{area.area_m2:.1f}"
            rows.append([name, str(area.pixels), f"{area.fraction:.1%}", square_m])
        return rows if self._has_m2 else [row[:3] for row in rows]
