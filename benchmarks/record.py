"""Record of a release: the figures of `make bench`, a picture of them, and a line of the history.

    python benchmarks/record.py FOLDER

FOLDER holds the rows that the benchmarks have written. docs/pictures/bench.json and bench.svg get
all of them. benchmarks/history/releases.csv gets a line for this version, in place of an earlier
one.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.picture import draw_picture
from benchmarks.rows import Row, read_rows
from lacuna.distribution import VERSION
from service.engine.thread_allocation import count_cores

_HERE = Path(__file__).parent
PICTURES = _HERE.parent / "docs" / "pictures"
HISTORY = _HERE / "history" / "releases.csv"


def collect(folder: Path) -> list[Row]:
    """Collect the rows of all files in a folder, by their keys."""
    rows = [
        row for path in folder.glob("*.json") for row in read_rows(json.loads(path.read_text()))
    ]
    return sorted(rows, key=lambda row: row.key)


def describe_run() -> dict[str, Any]:
    """Describe the version, the day and the machine."""
    return {
        "version": VERSION,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": count_cores(),
        "python": platform.python_version(),
    }


def update_history(path: Path, run: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write the line of a version, in place of an earlier one. A new figure adds a column."""
    line = {**run, **{row.key: f"{row.value:.4g}" for row in rows}}
    lines = []
    if path.exists():
        with path.open(newline="") as file:
            lines = [old for old in csv.DictReader(file) if old["version"] != run["version"]]
    lines.append({name: str(value) for name, value in line.items()})
    names = list(dict.fromkeys(name for one in lines for name in one))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Record the rows of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    rows, run = collect(parser.parse_args().folder), describe_run()
    content = {"run": run, "rows": [row._asdict() for row in rows]}
    (PICTURES / "bench.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    (PICTURES / "bench.svg").write_text(draw_picture(run, rows))
    update_history(HISTORY, run, rows)


if __name__ == "__main__":
    main()
