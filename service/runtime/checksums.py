"""Comparison of a model's files with the checksums in its manifest."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from lacuna.checksums import compute_checksums
from lacuna.errors import ChecksumMismatchError
from service.runtime.manifest import Manifest, update_manifest

log = logging.getLogger(__name__)

_MAX_NAMES = 5


def verify_checksums(folder: Path, manifest: Manifest) -> None:
    """Check that a model's files are those that its manifest has the checksums of.

    A manifest without checksums is accepted, and a line of the log says so.

    Args:
        folder: `<repository>/<model>/<version>`.
        manifest: Its manifest.

    Raises:
        ChecksumMismatchError: if a file is missing, added, changed or cannot be read. The message
            names it.
    """
    if not manifest.checksums:
        place = f"{folder.parent.name}/{folder.name}"
        log.info("manifest has no checksums; damage goes unnoticed", extra={"folder": place})
        return
    try:
        found = compute_checksums(folder)
    except OSError as error:
        name = Path(error.filename or folder).name
        raise ChecksumMismatchError(
            f"the files of a model must be readable; {name}: {error.strerror}"
        ) from error
    stated = manifest.checksums
    faults = {
        "changed": [name for name in stated if found.get(name, stated[name]) != stated[name]],
        "missing": [name for name in stated if name not in found],
        "added": [name for name in found if name not in stated],
    }
    if any(faults.values()):
        described = "; ".join(f"{kind}: {_list(names)}" for kind, names in faults.items() if names)
        raise ChecksumMismatchError(
            f"the files of a model must have the checksums in manifest.json; {described}"
        )


def write_checksums(folder: Path) -> None:
    """Write the checksums of a model's files into its manifest.

    Args:
        folder: `<repository>/<model>/<version>`.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the manifest is not valid. Its checksums may be wrong.
        OSError: if a file cannot be read, or the manifest cannot be written.
    """
    update_manifest(folder, checksums=compute_checksums(folder))


def _list(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
