"""Facts about models of a few operations in any format, and damage to their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

MANIFEST = {
    "schema": 1,
    "name": "tiny",
    "image": {"channels": 3, "dtype": "uint8"},
    "classes": [{"id": index, "name": str(index), "color": "#000000"} for index in range(3)],
    "total_stride": 1,
    "receptive_radius": 0,
}

DAMAGES = ("removed", "empty", "noise", "cut short")


def damage_file(path: Path, damage: str) -> None:
    """Damage a file in one of `DAMAGES`."""
    whole = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        noise = np.random.default_rng(0).bytes(500)
        path.write_bytes({"empty": b"", "noise": noise, "cut short": whole[:-100]}[damage])
