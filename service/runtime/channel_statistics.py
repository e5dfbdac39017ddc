"""Statistics of the training data, as a manifest holds them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lacuna.appearance.statistics import ChannelStatistics

_Pair = tuple[float, float]


class ChannelStatisticsSpec(BaseModel):
    """Statistics of one channel of training images, in the units that the model takes.

    A few values far away count for `minimum` and `maximum` only.

    Attributes:
        mean: Mean of all valid values.
        deviation: Standard deviation of all valid values.
        minimum: Smallest valid value.
        maximum: Largest valid value.
        low: 2nd percentile of the values; every image counts the same.
        high: 98th percentile.
        tile_mean: 0.5th and 99.5th percentile of the means of tiles of 16 × 16 pixels.
        tile_deviation: The same of their standard deviations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    deviation: Annotated[float, Field(ge=0)]
    minimum: float
    maximum: float
    low: float
    high: float
    tile_mean: _Pair
    tile_deviation: _Pair

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        rows = {
            "minimum, low, high and maximum": (self.minimum, self.low, self.high, self.maximum),
            "minimum, mean and maximum": (self.minimum, self.mean, self.maximum),
            "tile_mean": self.tile_mean,
            "tile_deviation": (0.0, *self.tile_deviation),
        }
        for name, row in rows.items():
            if list(row) != sorted(row):
                raise ValueError(f"{name} must be in ascending order; they are {row}")
        return self

    def unwrap(self) -> ChannelStatistics:
        """Return the same numbers without this schema."""
        return ChannelStatistics(**self.model_dump())
