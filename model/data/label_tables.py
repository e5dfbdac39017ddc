"""From what label maps store, numbers or colours, to class ids."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from model.data.description import DatasetDescription
from model.labels import IGNORE_LABEL

_SHOWN = 5
_ROWS = 256


class LabelTable:
    """Table of the numbers and colours that stand for classes. It counts those that it lacks.

    Args:
        description: of the data set.
        nodata: number that means unknown in this raster, even if it is that of a class; in coloured
            ones that of each channel.

    Attributes:
        unknown: pixels of each number or `#rrggbb` that is in no table.
    """

    def __init__(self, description: DatasetDescription, nodata: int | None = None) -> None:
        classes = description.classes
        self._names = [entry.name for entry in classes]
        values = _list_values(description)
        self._colors = [_to_code(entry.rgb) for entry in classes]
        self._ids = number_classes(description)
        self._color_ids = {code: n for n, code in enumerate(self._colors)}
        self._color_ids |= {_to_code(color): IGNORE_LABEL for color in description.ignored_colors}
        if nodata is not None:
            self._ids[nodata] = IGNORE_LABEL
            self._color_ids[(nodata & 255) * 0x010101] = IGNORE_LABEL
        self._is_strict = description.unknown == "error" and bool(classes)
        is_plain = values == list(range(len(values)))
        self._shown = f"0 to {len(values) - 1}" if is_plain else ", ".join(map(str, values))
        self._shown += "" if IGNORE_LABEL in values else f", or {IGNORE_LABEL}"
        self.unknown: Counter[int | str] = Counter()

    def look_up(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Return class ids, and count what is in no table.

        Args:
            stored: integer (H, W), or colours uint8 (H, W, 3).

        Returns:
            uint8 (H, W), `IGNORE_LABEL` where unknown.

        Raises:
            InvalidImageError: if two classes have the same color, and the labels are coloured.
        """
        if stored.ndim == 3:
            self._check_colors()
        labels = np.empty(stored.shape[:2], np.uint8)
        for top in range(0, len(stored), _ROWS):  # in parts, since each pixel takes 20 bytes
            rows = np.s_[top : top + _ROWS]
            labels[rows] = self._translate(stored[rows])
        return labels

    def describe_unknown(self) -> str:
        """Return what is wrong with the labels so far; empty if nothing is."""
        if not self.unknown or not self._is_strict:
            return ""
        numbers = sorted(value for value in self.unknown if isinstance(value, int))
        if numbers:
            shown = ", ".join(map(str, numbers[:_SHOWN]))
            rule = f"class ids must be {self._shown}; it holds {shown}"
            return rule + (", …" if len(numbers) > _SHOWN else "")
        shown = ", ".join(
            f"{color} ({count:,} pixels)" for color, count in self.unknown.most_common(_SHOWN)
        )
        return f"colors must be those of the classes, or in ignore; it holds {shown}" + (
            f" and {len(self.unknown) - _SHOWN} more" if len(self.unknown) > _SHOWN else ""
        )

    def _translate(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        is_colored = stored.ndim == 3
        table = self._color_ids if is_colored else self._ids
        keys = stored.astype(np.int64)
        if is_colored:
            keys = keys[..., 0] << 16 | keys[..., 1] << 8 | keys[..., 2]
        known = np.array(sorted(table), np.int64)
        ids = np.array([table[key] for key in known.tolist()], np.uint8)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        is_known = known[places] == keys
        if not is_known.all():
            values, counts = np.unique(keys[~is_known], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self.unknown[f"#{value:06x}" if is_colored else value] += count
        return np.where(is_known, ids[places], np.uint8(IGNORE_LABEL))

    def _check_colors(self) -> None:
        for n, code in enumerate(self._colors):
            first = self._colors.index(code)
            if first != n:
                raise InvalidImageError(
                    "coloured labels need a different color for each class; "
                    f"{self._names[first]} and {self._names[n]} have the same"
                )


def number_classes(description: DatasetDescription) -> dict[int, int]:
    """Return the ids of classes by their numbers, and `IGNORE_LABEL` for what means unknown."""
    ids = dict.fromkeys((IGNORE_LABEL, *description.ignored_values), IGNORE_LABEL)
    # A value of a class counts, also where it is 255.
    return ids | {value: n for n, value in enumerate(_list_values(description))}


def _list_values(description: DatasetDescription) -> list[int]:
    return [
        n if entry.value is None else entry.value for n, entry in enumerate(description.classes)
    ]


def _to_code(color: tuple[int, int, int]) -> int:
    red, green, blue = color
    return red << 16 | green << 8 | blue
