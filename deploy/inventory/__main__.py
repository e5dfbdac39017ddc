"""Writes sbom.cdx.json and THIRD-PARTY-NOTICES of an image, while it is built.

`python -m deploy.inventory --help` lists what it is given; the Dockerfile shows its use.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path

from deploy.inventory.notices import read_texts, write_notices
from deploy.inventory.packages import list_debian, list_packages, read_wheels
from deploy.inventory.sbom import Image, write_sbom


def main() -> None:
    """Write both files."""
    options = _read_options()
    installed = distributions(path=[str(folder) for folder in options.packages])
    packages = list_packages(installed, read_wheels(options.report), options.python)
    debian = list_debian(options.dpkg) if options.dpkg else []
    image = Image(options.version, options.base, options.created)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "sbom.cdx.json").write_text(write_sbom(image, packages, debian))
    texts = read_texts(options.texts) if options.texts else {}
    (options.output / "THIRD-PARTY-NOTICES").write_text(write_notices(packages, texts))
    print(f"{len(packages)} distributions and {len(debian)} packages of Debian are described")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.inventory")
    parser.add_argument("--packages", type=Path, nargs="+", required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--created", type=datetime.fromisoformat, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--dpkg", type=Path)
    parser.add_argument("--texts", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
