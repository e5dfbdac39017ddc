"""Installed packages: distributions of Python with their parts, and Debian's packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import NamedTuple

from deploy.inventory.native import Library, list_libraries, list_linked, report_imagecodecs
from deploy.inventory.parts import Part, read_parts
from deploy.inventory.policy import check_license, find_license, normalize

OURS = frozenset({"lacuna-segmentation", "lacuna-segmentation-server"})
"""Distributions of this repository in the image."""

_TEXT_NAME = re.compile(
    r"(?:licen[cs]e|copying|copyright|notice|patents|authors|third_?party)", re.I
)
_NO_TEXT = {".py", ".pyc", ".pyi", ".json", ".so", ".h"}


class Wheel(NamedTuple):
    """Wheel as pip has verified it.

    Attributes:
        file: Name of its file.
        sha256: Hexadecimal digits.
    """

    file: str
    sha256: str


class Package(NamedTuple):
    """Installed distribution.

    Attributes:
        name: Normalized name.
        distribution: Its metadata and files.
        license: SPDX expression.
        wheel: Its wheel; None for ours, which are built from the sources.
        libraries: Native libraries in it.
        parts: Other libraries in it, as its makers state.
    """

    name: str
    distribution: Distribution
    license: str
    wheel: Wheel | None
    libraries: list[Library]
    parts: list[Part]


class DebianPackage(NamedTuple):
    """Package of the base image."""

    name: str
    version: str
    architecture: str


def read_wheels(report: Path) -> dict[str, Wheel]:
    """Read which wheels pip has installed, by the names of distributions.

    Args:
        report: What `pip install --report` has written.
    """
    found = {}
    for item in json.loads(report.read_text())["install"]:
        download = item["download_info"]
        file = download["url"].rpartition("/")[2]
        wheel = Wheel(file, download["archive_info"]["hashes"]["sha256"])
        found[normalize(item["metadata"]["name"])] = wheel
    return found


def list_packages(
    distributions: Iterable[Distribution], wheels: Mapping[str, Wheel], python: str
) -> list[Package]:
    """List distributions with what is in them, by name.

    Args:
        distributions: All that are installed.
        wheels: Wheels by the names of distributions.
        python: Interpreter that can import the packages.

    Raises:
        ValueError: if a distribution is neither ours nor in `wheels`, or a licence is unknown or
            not allowed.
    """
    found = []
    for distribution in distributions:
        name = normalize(distribution.metadata["Name"])
        if name not in wheels and name not in OURS:
            raise ValueError(f"what is installed must be locked; {name} is not")
        parts = list(read_parts(name, distribution))
        package = Package(
            name,
            distribution,
            find_license(distribution),
            wheels.get(name),
            _list_native(name, distribution, python, parts),
            [part for part in parts if part.is_contained],
        )
        check_package(package)
        found.append(package)
    return sorted(found, key=lambda package: package.name)


def check_package(package: Package) -> None:
    """Check the licences of a distribution and of all that it brings.

    Raises:
        ValueError: if one of them is not allowed.
    """
    check_license(package.name, package.license)
    contents: list[Library | Part] = [*package.libraries, *package.parts]
    for library in contents:
        if library.license:
            check_license(f"{library.name} in {package.name}", library.license)


def list_debian(status: Path) -> list[DebianPackage]:
    """List the packages that a status file of dpkg names as installed, by name."""
    found = []
    for paragraph in status.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            found.append(
                DebianPackage(fields["Package"], fields["Version"], fields["Architecture"])
            )
    return sorted(found)


def find_texts(distribution: Distribution) -> dict[str, str]:
    """Return the licences and notices in a distribution, by the paths of their files."""
    found = {}
    for file in distribution.files or ():
        path = Path(str(file.locate()))
        if _TEXT_NAME.match(path.name) and path.suffix not in _NO_TEXT and path.is_file():
            found[str(file)] = path.read_text(encoding="utf-8", errors="replace")
    return dict(sorted(found.items()))


def _list_native(
    name: str, distribution: Distribution, python: str, parts: list[Part]
) -> list[Library]:
    folder = Path(str(distribution.locate_file(f"{name}.libs")))
    if name == "imagecodecs":
        reported = report_imagecodecs(python)
        shared = list_libraries(folder, name, reported)
        return [*shared, *list_linked(reported, shared)]
    return list_libraries(folder, name, {part.name.lower(): part.version for part in parts})
