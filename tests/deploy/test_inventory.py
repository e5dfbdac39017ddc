"""The SBOM and the notices of the image say what the locked distributions hold."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PathDistribution, distributions
from pathlib import Path

import PIL.features
import pytest
import rasterio
import shapely
from license_expression import get_spdx_licensing
from packaging.requirements import Requirement

from deploy.inventory.check import find_faults
from deploy.inventory.native import list_libraries, list_linked
from deploy.inventory.notices import read_texts, write_notices
from deploy.inventory.packages import (
    OURS,
    DebianPackage,
    Wheel,
    list_debian,
    list_packages,
    read_wheels,
)
from deploy.inventory.policy import TABLE, check_license, find_license, normalize
from deploy.inventory.sbom import Image, write_sbom

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "serve.txt").read_text()
LOCKED = {
    (name, version): digest
    for name, version, digest in re.findall(
        r"^([\w.-]+)==(\S+).*\n +--hash=sha256:(\w+)", LOCK, re.MULTILINE
    )
}
IMAGE = Image("1.2.3", "python:3.11-slim", datetime(2026, 1, 31, 12, tzinfo=UTC))
DEBIAN = [DebianPackage("libc6", "2.36-9", "amd64")]

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Description: C library
 Package: no field, but a line of the description

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def list_served():
    """Distributions of this environment that are in the image, and the wheels they came from."""
    found = {normalize(each.metadata["Name"]): each for each in distributions()}
    locked = {
        name: Wheel(f"{name}.whl", digest)
        for (name, version), digest in LOCKED.items()
        if name in found and found[name].version == version
    }
    return [found[name] for name in locked.keys() | OURS], locked


@pytest.fixture(scope="module")
def packages():
    served, locked = list_served()
    return list_packages(served, locked, sys.executable)


@pytest.fixture(scope="module")
def sbom(packages):
    return write_sbom(IMAGE, packages, DEBIAN)


@pytest.fixture(scope="module")
def components(sbom):
    return {component["name"]: component for component in json.loads(sbom)["components"]}


def make_distribution(folder, name="thing", license_text="MIT", **fields):
    """Install a distribution of one file."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    (info / "licenses").mkdir(parents=True)
    more = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items())
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nSummary: A thing.\n{more}\n"
    )
    record = f"{info.name}/METADATA,,\n"
    if license_text:
        (info / "licenses" / "LICENSE").write_text(license_text)
        record += f"{info.name}/licenses/LICENSE,,\n"
    (info / "RECORD").write_text(record)
    return PathDistribution(info)


def find_children(component, kind="library"):
    return {
        child["name"]: child for child in component.get("components", ()) if child["type"] == kind
    }


def test_the_sbom_is_valid_and_its_wheels_are_locked(sbom):
    assert find_faults(sbom, LOCK) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda bom: bom["components"][0].update(color="red"), "must be valid CycloneDX 1.6"),
        (lambda bom: bom["components"][0]["hashes"][0].update(content="0" * 64), "must be locked"),
        (lambda bom: bom["components"][0].pop("hashes"), "must be locked"),
        (lambda bom: bom["components"][0].update(version="0"), "must be locked"),
        (lambda bom: bom["components"][0].pop("licenses"), "must have a licence"),
        (
            lambda bom: bom.update(
                dependencies=[],
                components=[each for each in bom["components"] if each["name"] not in OURS],
            ),
            "lacuna-segmentation must be in it",
        ),
    ],
    ids=["unknown property", "other hash", "no hash", "other version", "no licence", "not ours"],
)
def test_a_broken_copy_of_the_sbom_is_found(sbom, change, fault):
    broken = json.loads(sbom)
    change(broken)

    assert fault in find_faults(json.dumps(broken), LOCK)[0]


def test_the_sbom_tells_the_image_its_base_and_our_distributions(sbom, components):
    root = json.loads(sbom)["metadata"]["component"]

    assert (root["name"], root["version"], root["type"]) == ("lacuna", "1.2.3", "container")
    assert [base["name"] for base in root["pedigree"]["ancestors"]] == ["python:3.11-slim"]
    assert components.keys() > OURS
    assert components["libc6"]["purl"].startswith("pkg:deb/debian/libc6@2.36-9?arch=amd64")
    (needs,) = (
        each["dependsOn"] for each in json.loads(sbom)["dependencies"] if each["ref"] == "lacuna"
    )
    assert {need.partition("==")[0] for need in needs} >= OURS


def test_every_locked_distribution_is_in_the_sbom_with_its_package_url(components):
    served, locked = list_served()
    assert len(served) > 60

    for each in served:
        name = normalize(each.metadata["Name"])
        assert components[name]["version"] == each.version
        assert components[name]["purl"].startswith(f"pkg:pypi/{name}@")
        assert name in OURS or components[name]["hashes"][0]["content"] == locked[name].sha256


def test_what_is_locked_for_this_platform_was_looked_at():
    heads = [
        Requirement(line.removesuffix("\\")) for line in LOCK.splitlines() if line[:1].isalnum()
    ]
    installed = {
        normalize(head.name) for head in heads if head.marker is None or head.marker.evaluate()
    }

    assert installed == set(list_served()[1])


def test_every_shared_library_that_wheels_bring_is_in_the_sbom(components):
    count = 0
    for each in list_served()[0]:
        name = normalize(each.metadata["Name"])
        files = [file.name for file in each.files or () if file.parent.name.endswith(".libs")]
        listed = {
            file
            for library in find_children(components[name]).values()
            for file in find_children(library, "file")
        }
        assert listed >= set(files)
        count += len(files)

    assert count > 80


def test_versions_of_native_libraries_are_those_that_the_packages_tell(components):
    in_rasterio, in_shapely = (find_children(components[name]) for name in ("rasterio", "shapely"))
    assert in_rasterio["gdal"]["version"] == rasterio.__gdal_version__
    assert in_shapely["geos"]["version"] == ".".join(map(str, shapely.geos_version))
    in_pillow = find_children(components["pillow"])
    for name, feature in {
        "freetype": "freetype2",
        "harfbuzz": "harfbuzz",
        "libavif": "avif",
        "libtiff": "libtiff",
        "libwebp": "webp",
        "openjpeg": "jpg_2000",
    }.items():
        assert in_pillow[name]["version"] == PIL.features.version(feature)


def test_what_pillow_may_be_built_with_is_not_said_to_be_in_it(components):
    assert "libimagequant" not in find_children(components["pillow"])
    assert not PIL.features.check("libimagequant")


def test_libraries_that_makers_name_are_listed_with_the_distribution(components):
    assert find_children(components["pydantic-core"])["jiter"]["purl"].startswith("pkg:cargo/")
    assert len(find_children(components["imagecodecs"])) > 45
    tensorflow = next(name for name in components if name.startswith("tensorflow"))
    assert len(find_children(components[tensorflow])) > 30


def test_the_notices_have_the_licence_of_each_distribution_and_each_native_library(packages):
    text = write_notices(packages, {"libproj-dev, as Debian describes it": "Copyright of PROJ"})

    for package in packages:
        assert f"\n{package.name} {package.distribution.version}: {package.license}\n" in text
        for library in package.libraries:
            assert f"    {library.name} {library.version}".rstrip() + f": {library.license}" in text
    licenses = {
        file.name for file in Path(shapely.__file__).parents[1].glob("imagecodecs/licenses/*")
    }
    assert len(licenses) > 50
    assert licenses <= set(re.findall(r"imagecodecs/licenses/([\w.-]+)", text))
    assert "Copyright of PROJ" in text


def test_the_table_names_nothing_that_is_not_locked():
    names = {name for name, _ in LOCKED}

    assert set(TABLE["distributions"]) <= names
    assert set(TABLE["texts"]) <= names


def test_allowed_licences_have_spdx_names():
    known = get_spdx_licensing()
    for expression in TABLE["allowed"]:
        if not expression.startswith("LicenseRef-"):
            assert not known.validate(expression).errors, expression


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "MIT OR GPL-2.0-only",
        "GPL-2.0-only OR (MIT AND Zlib)",
        "Apache-2.0 WITH LLVM-exception",
    ],
)
def test_a_licence_is_allowed_if_one_of_its_alternatives_is(expression):
    check_license("it", expression)


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "SSPL-1.0 OR BUSL-1.1", "Proprietary"]
)
def test_another_licence_fails(expression):
    with pytest.raises(ValueError, match=r"licenses\.toml allows; it has"):
        check_license("it", expression)


def test_a_distribution_with_a_new_licence_fails(tmp_path):
    thing = make_distribution(tmp_path, License_Expression="AGPL-3.0-only")

    with pytest.raises(ValueError, match=r"thing has AGPL-3\.0-only"):
        list_packages([thing], {"thing": Wheel("thing.whl", "0" * 64)}, sys.executable)


def test_a_distribution_that_states_no_spdx_licence_fails(tmp_path):
    with pytest.raises(ValueError, match="thing states 'do what you like'"):
        find_license(make_distribution(tmp_path, License="do what you like"))


def test_a_distribution_that_is_not_locked_fails(tmp_path):
    thing = make_distribution(tmp_path, License_Expression="MIT")

    with pytest.raises(ValueError, match="must be locked; thing is not"):
        list_packages([thing], {}, sys.executable)


def test_a_distribution_without_a_licence_text_fails(tmp_path):
    thing = make_distribution(tmp_path, license_text="", License_Expression="MIT")
    packages = list_packages([thing], {"thing": Wheel("thing.whl", "0" * 64)}, sys.executable)

    with pytest.raises(ValueError, match=r"must have a licence file.*; thing does neither"):
        write_notices(packages, {})


def test_a_native_library_that_nobody_knows_fails(tmp_path):
    (tmp_path / "libnew-0123abcd.so.1").touch()

    with pytest.raises(ValueError, match=r"thing brings libnew-0123abcd\.so\.1"):
        list_libraries(tmp_path, "thing", {})
    with pytest.raises(ValueError, match=r"in licenses\.toml; newcodec is not"):
        list(list_linked({"newcodec": "1.0"}, []))


def test_packages_of_debian_are_those_that_are_installed(tmp_path):
    (tmp_path / "status").write_text(STATUS)

    assert list_debian(tmp_path / "status") == DEBIAN


def test_texts_are_named_after_the_folders_they_lie_in(tmp_path):
    folder = tmp_path / "usr" / "share" / "doc" / "libproj-dev"
    folder.mkdir(parents=True)
    (folder / "copyright").write_text("all rights")

    assert read_texts(tmp_path) == {"libproj-dev, as Debian describes it": "all rights"}


def test_the_program_writes_the_same_bytes_whatever_the_order_of_sets(tmp_path):
    ours = {"name": "lacuna-segmentation", "License_Expression": "Apache-2.0"}
    make_distribution(tmp_path / "packages", **ours)
    for number in range(9):
        make_distribution(
            tmp_path / "packages",
            f"thing-{number}",
            License_Expression="MIT OR Apache-2.0",
            Requires_Dist=f"thing_{(number + 1) % 9}; extra == 'more'",
        )
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "report.json").write_text(
        json.dumps(
            {
                "install": [
                    {
                        "metadata": {"name": f"Thing_{number}"},
                        "download_info": {
                            "url": f"https://example.org/thing_{number}-1.0-py3-none-any.whl",
                            "archive_info": {"hashes": {"sha256": str(number) * 64}},
                        },
                    }
                    for number in range(9)
                ]
            }
        )
    )
    assert read_wheels(tmp_path / "report.json")["thing-3"] == Wheel(
        "thing_3-1.0-py3-none-any.whl", "3" * 64
    )
    written = []
    for seed in ("1", "2"):
        output = tmp_path / seed
        subprocess.run(
            [
                *(sys.executable, "-m", "deploy.inventory"),
                *("--packages", tmp_path / "packages", "--report", tmp_path / "report.json"),
                *("--python", sys.executable, "--dpkg", tmp_path / "status"),
                *("--base", "a/b:1", "--version", "1.0", "--created", "2026-01-31T12:00:00Z"),
                *("--output", output),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        written.append(
            [(output / name).read_bytes() for name in ("sbom.cdx.json", "THIRD-PARTY-NOTICES")]
        )

    assert written[0] == written[1]
    bom = json.loads(written[0][0])
    assert bom["metadata"]["timestamp"] == "2026-01-31T12:00:00+00:00"
    assert len(bom["components"]) >= 11
