"""Commands and segmenters that other distributions add to `lacuna` by entry points.

1. Each entry point of `lacuna.commands` is a click command, under its name.
2. The entry point `local` of `lacuna.segmenters` opens models for `lacuna segment` without --url.

This module does not import the server by name. If the server is not installed, a user's own module
`service` must not be taken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import click

from lacuna.distribution import describe_extra

if TYPE_CHECKING:
    from lacuna.cli.segment_run import SegmentImage

    OpenModels = Callable[..., AbstractAsyncContextManager[SegmentImage]]

SERVER_COMMANDS = ("bench", "check", "config", "serve")


def list_commands() -> list[str]:
    """Return the names of the commands that are installed."""
    return sorted(entry_points(group="lacuna.commands").names)


def load_command(name: str) -> click.Command | None:
    """Load a command.

    Returns:
        The command; None if there is none of that name.

    Raises:
        ClickException: if its distribution is not installed, or another module hides it.
    """
    for entry in entry_points(group="lacuna.commands", name=name):
        command: click.Command = _load(entry)
        return command
    if name in SERVER_COMMANDS:
        raise click.ClickException(_explain_absence(f"lacuna {name}"))
    return None


def load_local_segmenter() -> OpenModels:
    """Load the function that opens the models of this machine.

    Raises:
        ClickException: as in `load_command`.
    """
    for entry in entry_points(group="lacuna.segmenters", name="local"):
        open_models: OpenModels = _load(entry)
        return open_models
    raise click.ClickException(_explain_absence("lacuna segment without --url"))


def _load(entry: EntryPoint) -> Any:
    package = entry.module.partition(".")[0]
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise click.ClickException(
            f"{entry.module} must be importable; a module named {package} in the working directory "
            "or in a folder of PYTHONPATH hides it"
        ) from error


def _explain_absence(what: str) -> str:
    return f"`{what}` needs the extra `serve`: {describe_extra('serve')}"
