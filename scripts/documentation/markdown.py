"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable


def fence(text: str, language: str = "") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def write_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(map(_write_cell, line))} |" for line in lines)


def _write_cell(text: str) -> str:
    """Return a text in one line; an item of a list begins a line of the cell."""
    lines = re.sub(r"\n+- ", "<br>", text)
    return " ".join(lines.split()).removeprefix("- ").replace("|", r"\|")
