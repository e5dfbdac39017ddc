"""Writing of versions by the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from model.atomic import check_replaceable

_VERSION = re.compile(r"0|[1-9][0-9]*")


def check_output(output: Path) -> None:
    """Check that a version can be written to a folder, or exit with the reason."""
    if not _VERSION.fullmatch(output.name):
        raise click.BadParameter(
            "OUTPUT must end in a version, which is a number without leading zeros; it ends in "
            f"{output.name}"
        )
    try:
        check_replaceable(output)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error)) from error


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Exit with the reason if the block cannot write a version."""
    try:
        yield
    except Exception as error:  # the libraries that write have errors of their own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise click.ClickException(f"{output} could not be written; {lines[0]}") from error
