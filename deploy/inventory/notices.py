"""Licences and notices of all that the image holds, in one text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.inventory.native import Library
from deploy.inventory.packages import OURS, Package, find_texts
from deploy.inventory.parts import Part
from deploy.inventory.policy import TABLE

_LINE = "=" * 80
_HEAD = f"""{_LINE}
Licences and notices of the software in this image
{_LINE}

The image holds lacuna, distributions of Python, native libraries that these bring along, and the
packages of its base image. sbom.cdx.json, beside this file, lists them with versions. The licences
of Debian's packages are in /usr/share/doc/<package>/copyright.
"""


def write_notices(packages: Sequence[Package], texts: Mapping[str, str]) -> str:
    """Return the notices.

    Args:
        packages: Distributions of Python in the image.
        texts: Further texts by their headings: of libraries whose wheels have none.

    Raises:
        ValueError: if a distribution has no text, and licenses.toml does not say where it stands.
    """
    seen: dict[str, str] = {}
    ours_first = sorted(packages, key=lambda package: (package.name not in OURS, package.name))
    sections = [_describe(package, seen) for package in ours_first]
    sections += [[*_head_section(heading), text] for heading, text in sorted(texts.items())]
    return "\n".join([_HEAD, *(line for section in sections for line in section)])


def read_texts(folder: Path) -> dict[str, str]:
    """Read files `copyright` below a folder, by the names of the folders they lie in."""
    return {
        f"{file.parent.name}, as Debian describes it": file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("copyright"))
        if file.is_file()
    }


def _describe(package: Package, seen: dict[str, str]) -> list[str]:
    lines = _head_section(f"{package.name} {package.distribution.version}: {package.license}")
    lines += _list_contents(package)
    texts = find_texts(package.distribution)
    if not texts and package.name not in TABLE["texts"]:
        raise ValueError(
            "a distribution must have a licence file, or stand in licenses.toml under `texts`; "
            f"{package.name} does neither"
        )
    if not texts:
        lines += [TABLE["texts"][package.name], ""]
    for file, text in texts.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest in seen:
            lines += [f"{file}: as {seen[digest]}, above.", ""]
            continue
        seen[digest] = f"{package.name}'s {file}"
        lines += [f"--- {file}", "", text.strip(), ""]
    return lines


def _head_section(heading: str) -> list[str]:
    return [_LINE, heading, _LINE, ""]


def _list_contents(package: Package) -> list[str]:
    contents: list[Library | Part] = [*package.libraries, *package.parts]
    if not contents:
        return []
    lines = [
        f"    {each.name} {each.version}".rstrip() + (f": {each.license}" if each.license else "")
        for each in contents
    ]
    return ["It contains:", "", *lines, ""]
