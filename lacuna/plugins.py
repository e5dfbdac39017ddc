"""Commands and segmenters that other distributions add to `lacuna` by entry points.

1. Each entry point of `lacuna.commands` is a click command, under its name.
2. The entry point `images` of `lacuna.segmenters` opens models for images, and `scenes` opens one
   for the windows of a scene, on this machine. `cluster-images` and `cluster-scenes` do so on a Ray
   cluster, and take its `ClusterOptions` first.

This module does not import the server by name. If the server is not installed, a user's own module
`service` must not be taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lacuna.distribution import Extra, describe_extra
from lacuna.errors import MissingExtraError

SERVER_COMMANDS = ("bench", "check", "config", "serve")


@dataclass(frozen=True)
class ClusterOptions:
    """Ray cluster, and the workers that are started on it.

    Attributes:
        address: `host:port` of the cluster's head, or `auto` for the cluster of this machine.
        workers: number of workers, with a CPU each; None for as many as the cluster has CPUs.
        patience_s: seconds to wait for a worker while there is none.
    """

    address: str
    workers: int | None = None
    patience_s: float = 120.0


def list_commands() -> list[str]:
    """Return the names of the commands that are installed."""
    return sorted(entry_points(group="lacuna.commands").names)


def load_command(name: str) -> Any:
    """Load a command.

    Returns:
        The command, of click; None if there is none of that name.

    Raises:
        MissingExtraError: if its distribution is not installed, or another module hides it.
    """
    for entry in entry_points(group="lacuna.commands", name=name):
        return _load(entry)
    if name in SERVER_COMMANDS:
        raise MissingExtraError(_explain_absence(f"lacuna {name}"))
    return None


def load_local_images() -> Any:
    """Load the function that opens the models of this machine for images.

    Raises:
        MissingExtraError: as in `load_command`.
    """
    return _load_segmenter("images")


def load_local_scenes() -> Any:
    """Load the function that opens a model of this machine for the windows of a scene.

    Raises:
        MissingExtraError: as in `load_command`.
    """
    return _load_segmenter("scenes")


def load_cluster_images() -> Any:
    """Load the function that opens models on a Ray cluster for images.

    Raises:
        MissingExtraError: as in `load_command`.
    """
    return _load_segmenter("cluster-images", "segmenting on a cluster", "ray")


def load_cluster_scenes() -> Any:
    """Load the function that opens a model on a Ray cluster for the windows of a scene.

    Raises:
        MissingExtraError: as in `load_command`.
    """
    return _load_segmenter("cluster-scenes", "segmenting on a cluster", "ray")


def _load_segmenter(
    name: str, what: str = "segmenting without a server", extra: Extra = "serve"
) -> Any:
    for entry in entry_points(group="lacuna.segmenters", name=name):
        return _load(entry)
    raise MissingExtraError(_explain_absence(what, extra))


def _load(entry: EntryPoint) -> Any:
    package = entry.module.partition(".")[0]
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f"{entry.module} must be importable; a module named {package} in the working directory "
            "or in a folder of PYTHONPATH hides it"
        ) from error


def _explain_absence(what: str, extra: Extra = "serve") -> str:
    return f"`{what}` needs the extra `{extra}`: {describe_extra(extra)}"
