"""SBOM of the image in CycloneDX, the same bytes for the same contents."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from deploy.inventory.native import Library
from deploy.inventory.packages import OURS, DebianPackage, Package
from deploy.inventory.parts import Part
from deploy.inventory.policy import normalize

_NO_SERIAL = UUID(int=0)


class Image(NamedTuple):
    """Image that is described.

    Attributes:
        version: Version of lacuna.
        base: Name of its base image.
        created: Time of the sources.
    """

    version: str
    base: str
    created: datetime


def write_sbom(image: Image, packages: Sequence[Package], debian: Sequence[DebianPackage]) -> str:
    """Return the SBOM as JSON (CycloneDX 1.6).

    Args:
        image: The image.
        packages: Distributions of Python in it.
        debian: Packages of Debian in it.
    """
    bom = _make_bom(image, packages, debian)
    # A serial number of the contents, in place of a random one.
    bom.serial_number = uuid5(NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n"


def _make_bom(image: Image, packages: Sequence[Package], debian: Sequence[DebianPackage]) -> Bom:
    base = Component(name=image.base, type=ComponentType.CONTAINER, bom_ref="base")
    root = Component(
        name="lacuna",
        version=image.version,
        type=ComponentType.CONTAINER,
        bom_ref="lacuna",
        licenses=_read_license("Apache-2.0"),
        pedigree=Pedigree(ancestors=[base]),
    )
    python = {package.name: _describe_package(package) for package in packages}
    system = [_describe_debian(package) for package in debian]
    if sys.base_prefix != "/usr":  # it is none of Debian's
        system.append(_describe_python())
    bom = Bom(
        components=[*python.values(), *system],
        serial_number=_NO_SERIAL,
        metadata=BomMetaData(component=root, timestamp=image.created),
    )
    bom.register_dependency(
        root, [*(python[name] for name in sorted(OURS & python.keys())), *system]
    )
    for package in packages:
        needed = _list_needed(package.distribution.requires or ())
        bom.register_dependency(
            python[package.name],
            [python[name] for name in sorted(needed & python.keys() - {package.name})],
        )
    return bom


def _list_needed(requirements: Iterable[str]) -> set[str]:
    """Return the names of distributions, whatever extra or platform needs them."""
    return {normalize(match[0]) for text in requirements if (match := re.match(r"[\w.-]+", text))}


def _describe_package(package: Package) -> Component:
    version = package.distribution.version
    ref = f"{package.name}=={version}"
    return Component(
        name=package.name,
        version=version,
        bom_ref=ref,
        description=package.distribution.metadata["Summary"],
        licenses=_read_license(package.license),
        purl=PackageURL(
            "pypi",
            name=package.name,
            version=version,
            qualifiers={"file_name": package.wheel.file} if package.wheel else None,
        ),
        hashes=[_hash(package.wheel.sha256)] if package.wheel else (),
        components=[
            *(_describe_library(library, ref) for library in package.libraries),
            *(_describe_part(part, ref) for part in package.parts),
        ],
    )


def _describe_library(library: Library, ref: str) -> Component:
    return Component(
        name=library.name,
        version=library.version or None,
        bom_ref=f"{ref}/{library.name}",
        licenses=_read_license(library.license),
        purl=PackageURL("generic", name=library.name, version=library.version or None),
        components=[
            Component(
                name=file,
                type=ComponentType.FILE,
                bom_ref=f"{ref}/{library.name}/{file}",
                hashes=[_hash(digest)],
                # Symbols for debuggers may have been taken out.
                properties=[Property(name="lacuna:as", value="in the image")],
            )
            for file, digest in library.files.items()
        ],
    )


def _describe_part(part: Part, ref: str) -> Component:
    return Component(
        name=part.name,
        version=part.version or None,
        bom_ref=f"{ref}/{part.purl or part.name}",
        licenses=_read_license(part.license),
        purl=PackageURL.from_string(part.purl) if part.purl else None,
    )


def _describe_debian(package: DebianPackage) -> Component:
    release = platform.freedesktop_os_release()
    purl = PackageURL(
        "deb",
        release["ID"],
        package.name,
        package.version,
        {"arch": package.architecture, "distro": f"{release['ID']}-{release['VERSION_ID']}"},
    )
    return Component(
        name=package.name,
        version=package.version,
        bom_ref=f"deb/{package.name}:{package.architecture}",
        purl=purl,
    )


def _describe_python() -> Component:
    version = platform.python_version()
    return Component(
        name="python",
        version=version,
        type=ComponentType.PLATFORM,
        bom_ref="python",
        licenses=_read_license("PSF-2.0"),
        purl=PackageURL("generic", name="python", version=version),
    )


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _read_license(expression: str) -> list[License]:
    return [LicenseFactory().make_from_string(expression)] if expression else []
