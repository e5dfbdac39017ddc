"""Pages of the documentation site, gathered from the repository.

Pages are docs/ and the documents of the root, which become pages beside those of docs/. A link that
leaves docs/ is a link to a file of the repository: the file is copied to `files/`, and of a folder
a page there lists the files.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from posixpath import normpath, relpath

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Documents of the root that are pages."""

_ASSETS = {".gif", ".ipynb", ".png", ".svg", ".webm"}
_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")
_CODE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def gather_pages(target: Path, generated: Mapping[str, str]) -> list[str]:
    """Write all pages, and the files that they show or name.

    Args:
        target: folder of the pages, which is emptied.
        generated: further pages by their paths, with links as in a page at that path below docs/.

    Returns:
        paths of all pages below the folder.
    """
    shutil.rmtree(target, ignore_errors=True)
    pages = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
    pages |= {name: (ROOT / name).read_text() for name in DOCUMENTS}
    pages |= {f"docs/{name}": text for name, text in generated.items()}
    for path in DOCS.rglob("*"):
        if path.suffix in _ASSETS:
            _copy(path, target / path.relative_to(DOCS))
    for source, text in pages.items():
        page = target / _place(source)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_redirect_links(source, text, pages, target))
    return [_place(source) for source in pages]


def _place(source: str) -> str:
    """Return the path of a page on the site, given that in the repository."""
    return source.removeprefix("docs/")


def _redirect_links(source: str, text: str, pages: Mapping[str, str], target: Path) -> str:
    def redirect(link: re.Match[str]) -> str:
        named = normpath(f"{Path(source).parent.as_posix()}/{link[2]}")
        place = _find_place(named, pages, target)
        return link[1] + relpath(place, Path(_place(source)).parent.as_posix() or ".")

    parts = _CODE.split(text)
    return "".join(part if at % 2 else _LINK.sub(redirect, part) for at, part in enumerate(parts))


def _find_place(named: str, pages: Mapping[str, str], target: Path) -> str:
    """Return the place on the site of a file of the repository, and copy it there if need be."""
    path = ROOT / named
    if named == "README.md":
        return "index.md"
    if named in pages or (named.startswith("docs/") and path.suffix in _ASSETS):
        return _place(named)
    if f"{named}/index.md" in pages:
        return _place(f"{named}/index.md")
    if path.is_dir():
        return _list_folder(path, target)
    if path.is_file():
        # As text, whatever its suffix, so that browsers show it.
        _copy(path, target / "files" / f"{named}.txt")
        return f"files/{named}.txt"
    return named  # a broken link, which the strict build reports


def _list_folder(folder: Path, target: Path) -> str:
    name = folder.relative_to(ROOT).as_posix()
    lines = [f"# {name}", ""]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            below = path.relative_to(folder).as_posix()
            _copy(path, target / "files" / name / f"{below}.txt")
            lines.append(f"- [{below}]({folder.name}/{below}.txt)")
    page = target / "files" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([*lines, ""]))
    return f"files/{name}.md"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
