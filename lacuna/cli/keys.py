"""Options of the commands that show a key to a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])


def take_key(command: Command) -> Command:
    """Add `--api-key` and `--api-key-file` to a command; `read_key` makes one of both."""
    key = click.option(
        "--api-key",
        metavar="KEY",
        help="API key of the server. Other users may see it in the list of processes.",
    )
    file = click.option(
        "--api-key-file",
        type=click.File(),
        help="File that holds the API key; - for the standard input.",
    )
    return key(file(command))


def read_key(api_key: str | None, api_key_file: IO[str] | None) -> str | None:
    """Return the key, without the white space around it in a file; None if there is none.

    Args:
        api_key: key as it is.
        api_key_file: file that holds it, which is preferred.
    """
    return api_key if api_key_file is None else api_key_file.read().strip()
