"""Pages of the notebooks: text, and code that is not run here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from scripts.documentation.markdown import fence

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"


def write_notebook_pages() -> dict[str, str]:
    """Return the pages by their paths below docs/."""
    return {f"notebooks/{path.stem}.md": _write_page(path) for path in list_notebooks()}


def list_notebooks() -> list[Path]:
    """List the files of all notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def list_cells(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `markdown` or `code` and the text of each cell."""
    for cell in json.loads(path.read_text())["cells"]:
        yield cell["cell_type"], "".join(cell["source"])


def _write_page(path: Path) -> str:
    parts = [fence(text, "python") if kind == "code" else text for kind, text in list_cells(path)]
    return "\n\n".join([*parts, f"[This page as a notebook]({path.name}).", ""])
