"""Polygons as labels: their classes, and their faults."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.excerpts import quote
from lacuna.geo.features.burning import FeatureGrid
from lacuna.geo.features.checks import find_fault
from lacuna.geo.features.files import Features, open_features
from lacuna.geo.grid import Grid
from lacuna.windows.window import Window
from model.data.description import DatasetDescription
from model.data.label_tables import number_classes
from model.labels import IGNORE_LABEL

_SHOWN = 5


class PolygonLabels:
    """Labels that are drawn as polygons in a vector file. One thread at a time may use it.

    Args:
        path: of the file.
        grid: of the image.
        description: tells the classes, the attribute that names them, what is ignored, and the
            background.

    Raises:
        LacunaError: if the file cannot be read, or does not fit the image.
    """

    def __init__(self, path: Path, grid: Grid, description: DatasetDescription) -> None:
        self._field = description.label_field
        self._features = FeatureGrid(open_features(path, self._field), grid)
        self._features.check_overlap()
        self._names = _name_classes(description)
        self._numbers = number_classes(description)
        self._other = IGNORE_LABEL if description.unknown == "ignore" else None
        self._background = self._names.get(description.background, IGNORE_LABEL)
        self._faults: defaultdict[str, set[int]] = defaultdict(set)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the labels of a window; features with a fault are left out.

        Args:
            window: inside the image.

        Returns:
            uint8 (H, W), class ids, or `IGNORE_LABEL`.
        """
        features = self._features.find(window)
        labels = np.zeros(len(features.values), np.uint8)
        sound = np.ones(len(features.values), np.bool_)
        for place, (number, value, geometry) in enumerate(zip(*features, strict=True)):
            found = self._find_id(value)
            fault = self._describe_value(value) if found is None else find_fault(geometry)
            labels[place] = found or 0
            if fault:
                sound[place] = False
                self._faults[fault].add(int(number))
        return self._burn(features.take(sound), labels[sound], window)

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of the features in all windows that were read."""
        return tuple(
            f"{_count(numbers)} {fault}" for fault, numbers in list(self._faults.items())[:_SHOWN]
        ) + ((f"{len(self._faults) - _SHOWN} more",) if len(self._faults) > _SHOWN else ())

    def _burn(
        self, features: Features, labels: NDArray[np.uint8], window: Window
    ) -> NDArray[np.uint8]:
        return self._features.burn(features, labels, window, self._background)

    def _find_id(self, value: Any) -> int | None:
        if isinstance(value, str):
            name = value.strip()
            if name in self._names or not name.isdecimal():
                return self._names.get(name, self._other)
            value = int(name)
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        # Integers with gaps come as floating-point numbers.
        is_id = is_number and value == value // 1
        return self._numbers.get(int(value), self._other) if is_id else None

    def _describe_value(self, value: Any) -> str:
        return (
            f"must have a class in the attribute {quote(self._field)}: "
            f"{', '.join(self._names)}, or an id; "
            f"it is {quote(value)}"
        )


def _name_classes(description: DatasetDescription) -> dict[str, int]:
    """Return the ids of classes by their names, and `IGNORE_LABEL` for ignored ones."""
    ids = {entry.name: n for n, entry in enumerate(description.classes)}
    return ids | dict.fromkeys(description.ignored_names, IGNORE_LABEL)


def _count(numbers: set[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:_SHOWN]))
    return f"feature{'' if len(numbers) == 1 else 's'} {shown}" + (
        f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    )
