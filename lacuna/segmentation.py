"""A segmentation with the names of what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.comparison import AnswerWarning
from lacuna.areas import Area, AreaTable
from lacuna.georeference import Georeference
from lacuna.raster import rle
from lacuna.sample import INVALID_LABEL

_BLOCK = 1 << 20
"""Labels that are counted together."""

_MOST_NAMED = 4
"""Most classes that the line about a segmentation names."""


class ClassInfo(NamedTuple):
    """A class of a model.

    Attributes:
        id: label.
        name: for people.
        color: `#rrggbb`.
    """

    id: int
    name: str
    color: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


def _drop_unknown(area: Area) -> dict[str, Any]:
    return {name: value for name, value in area._asdict().items() if value is not None}


@dataclass(frozen=True, eq=False, repr=False)
class NamedSegmentation:
    """Segmentation of an image, with its classes and its model.

    Attributes:
        labels: uint8 (H, W), class ids; 255 where invalid.
        classes: classes of the model, class 0 first.
        model: name of the model.
        version: of the model; empty where the server does not tell.
        probabilities: float32 (H, W, K), 0 where invalid; None if they were not asked for.
        timings_ms: milliseconds of each stage, as far as they are known.
        warnings: reasons why the labels may be wrong.
        confidence: float32 (H, W), the largest probability, 0 where invalid; None if it was not
            asked for.
        support: float32 (H, W), the share of valid pixels among those that the label could draw
            on, 0 where invalid; None if it was not asked for.
        georeference: where the image lies; None if it is not known.
        areas_m2: area of each class on the ellipsoid, by its name; None if it is not known.
    """

    labels: NDArray[np.uint8]
    classes: tuple[ClassInfo, ...]
    model: str = ""
    version: str = ""
    probabilities: NDArray[np.float32] | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[AnswerWarning, ...] = field(default=(), kw_only=True)
    confidence: NDArray[np.float32] | None = field(default=None, kw_only=True)
    support: NDArray[np.float32] | None = field(default=None, kw_only=True)
    georeference: Georeference | None = field(default=None, kw_only=True)
    areas_m2: Mapping[str, float] | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        """Return a line with size, share of valid pixels, the largest classes and the model."""
        height, width = self.labels.shape
        largest = sorted(self.areas.items(), key=lambda item: -item[1].pixels)
        shares = [f"{name} {area.fraction:.1%}" for name, area in largest if area.pixels]
        if len(shares) > _MOST_NAMED:
            shares[_MOST_NAMED:] = ["…"]
        named = f": {', '.join(shares)}" if shares else ""
        model = f"; {self.model} {self.version}".rstrip() if self.model else ""
        return (
            f"<{type(self).__name__} {height}×{width}, {self.valid_fraction:.1%} valid{named}"
            f"{model}>"
        )

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Bool (H, W), True = valid."""
        return np.not_equal(self.labels, INVALID_LABEL)

    @cached_property
    def valid_pixels(self) -> int:
        """Number of valid pixels."""
        return int(self.labels.size - self._counts[INVALID_LABEL])

    @property
    def valid_fraction(self) -> float:
        """Share of the image that is valid."""
        return self.valid_pixels / max(self.labels.size, 1)

    @cached_property
    def areas(self) -> AreaTable:
        """Area of each class, by its name."""
        counts = {entry.name: int(self._counts[entry.id]) for entry in self.classes}
        whole = max(self.valid_pixels, 1)
        known_m2 = self.areas_m2 or {}
        return AreaTable(
            (name, Area(pixels, pixels / whole, known_m2.get(name)))
            for name, pixels in counts.items()
        )

    def to_json(self) -> str:
        """Return the content of `to_dict` as text, the answer of the server in JSON."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return sizes, areas, run lengths, warnings and timings as JSON values.

        `classes[].fraction` is the share of the valid pixels; `classes[].segmentation` is COCO's
        run-length encoding. `georeference` and `classes[].area_m2` are there if they are known.
        """
        height, width = self.labels.shape
        place = self.georeference
        return {
            "model": {"name": self.model, "version": self.version},
            "size": {"height": height, "width": width},
            **({} if place is None else {"georeference": place.to_json()}),
            "valid": {"pixels": self.valid_pixels, "fraction": self.valid_fraction},
            "classes": [
                {
                    **entry._asdict(),
                    **_drop_unknown(self.areas[entry.name]),
                    "segmentation": rle.encode(self.labels == entry.id),
                }
                for entry in self.classes
            ],
            "warnings": [warning._asdict() for warning in self.warnings],
            "timings_ms": {stage: round(ms, 3) for stage, ms in self.timings_ms.items()},
        }

    @cached_property
    def _counts(self) -> NDArray[np.intp]:
        # NumPy counts integers of 64 bits: in blocks, the copies are small.
        flat = self.labels.ravel()
        blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
        return sum(
            (np.bincount(block, minlength=256) for block in blocks), start=np.zeros(256, np.intp)
        )
