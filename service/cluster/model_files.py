"""Files of a model on their way to the nodes of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lacuna.errors import InvalidGraphError, UnknownModelError, UnknownVersionError
from service.cluster.pool import ClusterError
from service.core.versions import is_model_name
from service.engine.lifecycle.layout import explain_model, explain_repository, explain_version
from service.engine.lifecycle.scan import find_models, find_versions, locate_version
from service.platforms import find_demo_model

MAX_BYTES = 2 << 30
"""Largest model in bytes. The driver and every node hold its files in memory until it is loaded."""


class ModelFiles(NamedTuple):
    """Files of one version of a model.

    Attributes:
        name: name of the model.
        version: version, digits.
        contents: contents of each file, by its path in the version's folder.
    """

    name: str
    version: str
    contents: dict[str, bytes]

    def write(self, root: Path) -> None:
        """Write the files as a repository of this version alone.

        Args:
            root: folder of the repository, which exists.

        Raises:
            OSError: if they cannot be written.
        """
        for place, content in self.contents.items():
            path = root / self.name / self.version / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def read_model_files(
    root: Path, model: str | None, version: str | None, most_bytes: int = MAX_BYTES
) -> ModelFiles:
    """Read the files of a model.

    Args:
        root: folder of the repository.
        model: name of the model; None for the only one, or the demo's default.
        version: version of the model; None for the highest.
        most_bytes: largest model.

    Raises:
        UnknownModelError: if there is no such model, or it must be named.
        UnknownVersionError: if the model has no such version.
        InvalidGraphError: if the folder is no repository, or a file is a link out of it.
        ClusterError: if the model is too large.
        OSError: if a file cannot be read.
    """
    fault = explain_repository(root)
    if fault:
        raise InvalidGraphError(fault)
    name = model or find_demo_model(root) or _find_only(root)
    if not is_model_name(name) or explain_model(root, name):
        raise UnknownModelError(
            f"a model must be in the repository; {name} is not, but {', '.join(find_models(root))}"
        )
    versions = find_versions(root / name)
    chosen = version or versions[-1]
    if chosen not in versions:
        raise UnknownVersionError(
            f"a version must be in the repository; {name} has {', '.join(versions)}, not {chosen}"
        )
    folder = locate_version(root, name, chosen)
    fault = explain_version(folder)
    if fault:
        raise InvalidGraphError(fault)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in paths)
    if size > most_bytes:
        raise ClusterError(
            f"a model that is sent to a cluster must have at most {most_bytes} bytes; {name} has "
            f"{size}"
        )
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return ModelFiles(name, chosen, contents)


def _find_only(root: Path) -> str:
    names = find_models(root)
    if len(names) > 1:
        raise UnknownModelError(
            f"a model must be named if there are several; there are {', '.join(names)}"
        )
    return names[0]
