"""Checks an SBOM: strictly against CycloneDX' schema, and its wheels against a lock file.

python -m deploy.inventory.check sbom.cdx.json requirements/serve.txt
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.inventory.packages import OURS
from deploy.inventory.policy import normalize

_LOCKED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^ ]+)((?:.*\\\n)*.*)$", re.MULTILINE)


def find_faults(sbom: str, lock: str) -> list[str]:
    """Return what is wrong with an SBOM.

    Args:
        sbom: CycloneDX 1.6 in JSON.
        lock: Requirements with hashes.
    """
    invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom)
    if invalid is not None:
        return [f"it must be valid CycloneDX 1.6; {invalid}"]
    locked = {
        (normalize(name), version): set(re.findall(r"sha256:([0-9a-f]{64})", rest))
        for name, version, rest in _LOCKED.findall(lock)
    }
    python = [c for c in json.loads(sbom)["components"] if c["purl"].startswith("pkg:pypi/")]
    names = {component["name"] for component in python}
    faults = [f"{name} must be in it; it is not" for name in sorted(OURS - names)]
    faults += [
        _find_fault(component, locked) for component in python if component["name"] not in OURS
    ]
    return [fault for fault in faults if fault]


def _find_fault(component: dict[str, Any], locked: dict[tuple[str, str], set[str]]) -> str:
    name, version = component["name"], component["version"]
    digests = {each["content"] for each in component.get("hashes", ())}
    if not digests or not digests <= locked.get((name, version), set()):
        return f"{name} {version} must be locked, with the hash {', '.join(digests)}; it is not"
    return "" if component.get("licenses") else f"{name} must have a licence; it has none"


def main() -> int:
    """Print what is wrong, and return the exit status."""
    sbom, lock = (Path(name).read_text() for name in sys.argv[1:3])
    faults = find_faults(sbom, lock)
    print("\n".join(faults) or f"{len(json.loads(sbom)['components'])} components, as locked")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
