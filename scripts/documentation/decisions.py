"""List of the decisions, by their titles."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"

_INTRODUCTION = """\
# Decisions

What was decided, what else was tried, and why it was not taken. A record stays as it was written; a
later one may replace it."""


def write_decisions_page() -> dict[str, str]:
    """Return the page, by its path below docs/."""
    items = [f"- [{_read_title(path)}]({path.name})" for path in sorted(FOLDER.glob("[0-9]*.md"))]
    return {"decisions/index.md": "\n\n".join([_INTRODUCTION, "\n".join(items), ""])}


def _read_title(path: Path) -> str:
    """Return the title of a record, without its number."""
    title = path.read_text().partition("\n")[0]
    return title.lstrip("# 0123456789.:")
