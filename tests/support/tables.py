"""Tables of the documentation, in Markdown."""

from __future__ import annotations

import re


def read_row(text: str, heading: str, name: str) -> list[str]:
    """Return the cells of the row of this name, in the first table below a heading that has one."""
    table = text[text.index(heading) :]
    row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", table, re.MULTILINE)
    assert row is not None, f"{heading} must have a row {name}"
    return [cell.strip() for cell in row[1].split("|")]
