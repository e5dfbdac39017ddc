"""Configuration of a network that was converted, in place of the one that built it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ConvertedConfig:
    """Facts about a converted network; see `model.convert`.

    Attributes:
        channels: of the image.
        classes: number of classes.
        total_stride: side of a cell of the coarsest map, in pixels.
        receptive_radius: distance in pixels beyond which no input reaches an output.
        allowed: descriptions of the layers that take statistics over the image.
    """

    channels: int
    classes: int
    total_stride: int
    receptive_radius: int
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", tuple(self.allowed))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)
