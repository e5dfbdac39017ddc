"""Rows of the benchmarks: one figure each, with its target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """Figure of a benchmark.

    Attributes:
        key: short name, the same from release to release.
        title: what was measured.
        value: the measured value.
        target: value to reach, or not to exceed.
        unit: unit of both; `×` for a ratio.
        is_limit: True if the value must not exceed the target, False if it must reach it.
    """

    key: str
    title: str
    value: float
    target: float
    unit: str = "×"
    is_limit: bool = False

    @property
    def holds(self) -> bool:
        """True if the target is met."""
        return self.value <= self.target if self.is_limit else self.value >= self.target


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as JSON."""
    content = [row._asdict() | {"value": float(f"{row.value:.4g}")} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_rows(entries: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Read rows from JSON values."""
    return [Row(**entry) for entry in entries]
