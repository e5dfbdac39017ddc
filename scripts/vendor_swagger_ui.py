"""Copy Swagger UI, which shows `/docs`, from its npm package into the server.

`python scripts/vendor_swagger_ui.py VERSION`. It needs npm, which verifies the package. The record
beside the files is their SBOM, which the wheel of the server holds (PEP 770).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "swagger-ui-dist"
TARGET = Path(__file__).parents[1] / "service" / "web" / "viewer" / "swagger-ui"

# By their names in the package. A licence must be called so to be found by the inventory.
FILES = {
    "swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui.css",
    "LICENSE": "LICENSE",
    "NOTICE": "NOTICE",
    "swagger-ui-bundle.js.LICENSE.txt": "LICENSE-bundle.txt",
}


def main(version: str) -> None:
    """Replace the copied files and their record by those of another version."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{version}"]
        subprocess.run(command, cwd=scratch, check=True)  # noqa: S603
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(scratch, filter="data")
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        for name, copy in FILES.items():
            shutil.copy(Path(scratch) / "package" / name, TARGET / copy)
        record = describe(version, hashlib.sha512(archive.read_bytes()).hexdigest())
    (TARGET / "sbom.cdx.json").write_text(json.dumps(record, indent=2) + "\n")


def describe(version: str, archive_sha512: str) -> dict[str, Any]:
    """Return the SBOM of the copied files (CycloneDX 1.6).

    Args:
        version: Version of the package.
        archive_sha512: Digest of the package's archive, hexadecimal.
    """
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [
            {
                "type": "library",
                "name": PACKAGE,
                "version": version,
                "purl": f"pkg:npm/{PACKAGE}@{version}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": [{"alg": "SHA-512", "content": archive_sha512}],
                "components": [
                    {
                        "type": "file",
                        "name": copy,
                        "hashes": [
                            {
                                "alg": "SHA-256",
                                "content": hashlib.sha256((TARGET / copy).read_bytes()).hexdigest(),
                            }
                        ],
                    }
                    for copy in sorted(FILES.values())
                ],
            }
        ],
    }


if __name__ == "__main__":
    main(sys.argv[1])
