"""Fake models that know what they were trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.runtime.fake import FAKE_MANIFEST
from service.runtime.manifest import Manifest

# Of an even distribution of bytes, whose deviation is 256 / √12.
BYTE_STATISTICS: dict[str, Any] = {
    "mean": 127.5,
    "deviation": 73.9,
    "minimum": 0,
    "maximum": 255,
    "low": 5,
    "high": 250,
    "tile_mean": [60, 195],
    "tile_deviation": [8, 90],
}


def describe_trained(
    channels: int = 1, dtype: str = "uint8", scale: float = 1.0, **changes: Any
) -> Manifest:
    """Describe a fake model that was trained on noise from 0 to 255 times a factor."""
    numbers = {
        name: np.multiply(number, scale).tolist() for name, number in BYTE_STATISTICS.items()
    }
    image = {"channels": channels, "dtype": dtype, "statistics": [numbers] * channels}
    described = FAKE_MANIFEST.model_dump(by_alias=True) | {"image": image} | changes
    return Manifest.model_validate(described)
