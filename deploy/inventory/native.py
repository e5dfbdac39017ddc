"""Native libraries that wheels bring along, with versions that the libraries and wheels state."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from deploy.inventory.policy import TABLE

_ASK = """
import ctypes, json, sys
said = {}
for file, (function, *arguments) in json.loads(sys.argv[1]).items():
    ask = ctypes.CDLL(file)[function]
    ask.restype = ctypes.c_char_p
    said[file] = ask(*(a.encode() if isinstance(a, str) else a for a in arguments)).decode()
print(json.dumps(said))
"""
_REPORT = "import imagecodecs, json; print(json.dumps(imagecodecs.version(dict)))"
_NUMBER = re.compile(r"\d+(?:\.\d+)+[a-z]?")


class Library(NamedTuple):
    """Native library.

    Attributes:
        name: Its usual name.
        license: SPDX expression.
        version: Version; empty where nobody states it.
        files: SHA-256 of its files, by name; empty if it is linked into a module.
    """

    name: str
    license: str
    version: str
    files: Mapping[str, str]


def list_libraries(folder: Path, wheel: str, reported: Mapping[str, str]) -> list[Library]:
    """List the libraries in a wheel's folder `*.libs`, by name.

    Args:
        folder: The folder.
        wheel: Name of the distribution.
        reported: Versions that the wheel states, by the libraries' names.

    Raises:
        ValueError: if a library is not in the table.
    """
    found: dict[str, Library] = {}
    entries = {file.name: _find_entry(wheel, file.name) for file in sorted(folder.glob("*.so*"))}
    said = _ask_versions(folder, entries)
    for file, entry in entries.items():
        name = entry["name"]
        version = said.get(file) or reported.get(name, "")
        former = found.get(name, Library(name, entry["license"], "", {}))
        files = {**former.files, file: hashlib.sha256((folder / file).read_bytes()).hexdigest()}
        found[name] = Library(name, former.license, former.version or version, files)
    return [found[name] for name in sorted(found)]


def report_imagecodecs(python: str) -> dict[str, str]:
    """Return the versions that imagecodecs states of the libraries in it.

    Args:
        python: Interpreter that can import it.
    """
    done = subprocess.run([python, "-c", _REPORT], capture_output=True, check=True, text=True)  # noqa: S603
    versions: dict[str, str] = json.loads(done.stdout)
    own = versions["imagecodecs"]
    tools = ("cython", "numpy", "numpy_abi")
    return {
        name: "" if version == "unknown" else version.partition("/")[0]
        for name, version in versions.items()
        if version not in (own, "n/a") and name not in tools
    }


def list_linked(reported: Mapping[str, str], shared: list[Library]) -> Iterator[Library]:
    """List the libraries that imagecodecs reports and that are in none of its files.

    Raises:
        ValueError: if a library is not in the table.
    """
    licenses: dict[str, str] = TABLE["imagecodecs"]
    for name in sorted(reported.keys() - {library.name for library in shared}):
        if name not in licenses:
            raise ValueError(f"a library of imagecodecs must be in licenses.toml; {name} is not")
        yield Library(name, licenses[name], reported[name], {})


def _find_entry(wheel: str, file: str) -> dict[str, Any]:
    stem = re.sub(r"(-[0-9a-f]{8})*\.so(\.|$).*", "", file)
    libraries = TABLE["libraries"]
    entry: dict[str, Any] | None = libraries.get(f"{wheel}/{stem}", libraries.get(stem))
    if entry is None:
        raise ValueError(f"a library in a wheel must be in licenses.toml; {wheel} brings {file}")
    return entry


def _ask_versions(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions that libraries return themselves, by file."""
    questions = {file: entry["version"] for file, entry in entries.items() if "version" in entry}
    if not questions:
        return {}
    # Not every library finds the others of its folder by itself.
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    command = [sys.executable, "-c", _ASK, json.dumps(questions)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)  # noqa: S603
    said: dict[str, str] = json.loads(done.stdout)
    return {file: match[0] for file, text in said.items() if (match := _NUMBER.search(text))}
