"""Python environments that hold no more than they are given."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project with the build tools of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return max(folder.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime_ns)


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Make an environment of a wheel and what it requires, which is linked from this environment.

    Returns:
        Its Python.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.check_output(command, text=True).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (installed,) = Distribution.discover(path=[str(packages)])
    for required in _list_required(installed, set()):
        for file in required.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(Path(str(required.locate_file(top))))
    return python


def _list_required(of: Distribution, seen: set[str]) -> list[Distribution]:
    found: list[Distribution] = []
    for text in of.requires or ():
        requirement = Requirement(text)
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and requirement.name not in seen:
            seen.add(requirement.name)
            found.append(distribution(requirement.name))
            found += _list_required(found[-1], seen)
    return found
