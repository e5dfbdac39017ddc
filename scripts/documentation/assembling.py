"""The site: its pages, and its configuration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.documentation.commands import write_commands_page
from scripts.documentation.decisions import write_decisions_page
from scripts.documentation.gathering import ROOT, gather_pages
from scripts.documentation.http_operations import write_http_page
from scripts.documentation.notebooks import write_notebook_pages
from scripts.documentation.python_api import write_python_pages

_WRITERS = (
    write_commands_page,
    write_decisions_page,
    write_http_page,
    write_notebook_pages,
    write_python_pages,
)
SITE = ROOT / "runs" / "site"
_REFERENCE = Path(__file__).parent / "reference.md"
_ICON = ROOT / "service" / "web" / "static" / "icon.svg"


def write_site(target: Path) -> None:
    """Write the pages and `mkdocs.yml` into a folder, for the generator of the site.

    Raises:
        ValueError: as `complete_navigation`.
    """
    written = {"reference/index.md": _REFERENCE.read_text()}
    for write in _WRITERS:
        written |= write()
    pages = gather_pages(target / "pages", written)
    shutil.copyfile(_ICON, target / "pages" / "icon.svg")
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    configuration["nav"] = complete_navigation(configuration["nav"], pages)
    (target / "mkdocs.yml").write_text(yaml.safe_dump(configuration, sort_keys=False))


def complete_navigation(nav: list[Any], pages: list[str]) -> list[Any]:
    """Replace each folder by its pages: its index, then the others in the order of their names.

    Raises:
        ValueError: if a page is not named, or named twice, or one is named that there is not.
    """
    complete = _expand(nav, pages)
    named = list(_list_pages(complete))
    if sorted(named) != sorted(pages):
        wrong = sorted({*named} ^ {*pages}) or [page for page in pages if named.count(page) > 1]
        raise ValueError(
            f"nav of mkdocs.yml must name every page once; left out, not there or twice: {wrong}"
        )
    return complete


def _expand(nav: list[Any], pages: list[str]) -> list[Any]:
    entries: list[Any] = []
    for entry in nav:
        title, place = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(place, list):
            entries.append({title: _expand(place, pages)})
        elif place.endswith("/"):
            below = [page for page in pages if page.startswith(place)]
            entries.append({title: sorted(below, key=lambda page: (not _is_index(page), page))})
        else:
            entries.append(entry)
    return entries


def _is_index(page: str) -> bool:
    return page.endswith("/index.md")


def _list_pages(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        place = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(place, list):
            yield from _list_pages(place)
        else:
            yield place
