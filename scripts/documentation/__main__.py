"""Builds the documentation site in runs/site/html; warnings are errors.

python -m scripts.documentation
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from scripts.documentation.assembling import SITE, write_site

_LOADED = re.compile(
    r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)


def main() -> int:
    """Write the pages, have the site built, and check that it loads nothing from other hosts."""
    write_site(SITE)
    command = ["zensical", "build", "--strict", "--clean", "-f", str(SITE / "mkdocs.yml")]
    status = subprocess.run([sys.executable, "-m", *command], check=False).returncode  # noqa: S603
    if status:
        return status
    if foreign := list_foreign(SITE / "html"):
        print("a page must load nothing from other hosts; these do:", *foreign, sep="\n")
        return 1
    print(f"The documentation is in {SITE / 'html' / 'index.html'}")
    return 0


def list_foreign(folder: Path) -> list[str]:
    """List what pages of a folder load from other hosts, with the page."""
    pages = {page: page.read_text() for page in sorted(folder.rglob("*.html"))}
    return [
        f"{page.relative_to(folder)}: {address}"
        for page, text in pages.items()
        for address in _LOADED.findall(text)
    ]


if __name__ == "__main__":
    sys.exit(main())
