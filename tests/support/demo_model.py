"""Copies of the demo's model `groundcover`, for tests that change its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import MANIFEST_FILE

DEMO = DEMO_REPOSITORY / "groundcover" / "1"


def copy_demo(folder: Path) -> Path:
    """Copy the model into a repository, and return the folder of its version."""
    return Path(shutil.copytree(DEMO, folder / "groundcover" / "1"))


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Change members of the manifest of a version."""
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
