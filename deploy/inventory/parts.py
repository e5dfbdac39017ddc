"""Libraries in a wheel as its makers state them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, NamedTuple


class Part(NamedTuple):
    """Library that the makers of a wheel say is in it.

    Attributes:
        name: Its name.
        version: Version; empty where it is not stated.
        purl: Package URL; empty where it is not stated.
        license: SPDX expression; empty where it is not stated.
        is_contained: False if it is only said what the sources can be built with.
    """

    name: str
    version: str = ""
    purl: str = ""
    license: str = ""
    is_contained: bool = True


def read_parts(name: str, distribution: Distribution) -> Iterator[Part]:
    """Read which libraries a wheel's SBOMs (PEP 770) and TensorFlow's notices name.

    Args:
        name: Normalized name of the distribution.
        distribution: Its files.
    """
    for file in distribution.files or ():
        path = Path(str(file.locate()))
        if file.parts[1:2] == ("sboms",) and file.suffix == ".json":
            for component in json.loads(path.read_text())["components"]:
                if not component.get("purl", "").startswith(f"pkg:pypi/{name}@"):
                    yield _make_part(component)
        if path.name == "THIRD_PARTY_NOTICES.txt":
            for heading in re.findall(r"^== (.+)$", path.read_text(), re.MULTILINE):
                yield Part(heading.strip())


def _make_part(component: Mapping[str, Any]) -> Part:
    licenses = [
        entry.get("expression") or entry["license"].get("id", "")
        for entry in component.get("licenses", ())
    ]
    stated = " AND ".join(f"({each})" if " OR " in each else each for each in licenses)
    version, purl = component.get("version", ""), component.get("purl", "")
    # Pillow's lists what may be linked, without a purl, GPL among it; wheels have a part of that.
    return Part(component["name"], version, purl, stated if all(licenses) else "", bool(purl))
