"""Standard input and output of `lacuna segment`, which `-` stands for.

What is read is kept in a file, because images are read more than once; what is written is passed on
when it is whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

PIPE = "-"


class Pipes(NamedTuple):
    """Images and output of a command, whose pipes are files.

    Attributes:
        images: files, folders and globs.
        output: file or folder to write.
        folder: folder of the files that stand for pipes; None if there is none.
        writes: True if the output is the standard output.
    """

    images: tuple[str, ...]
    output: Path
    folder: Path | None = None
    writes: bool = False

    def name(self, path: Path) -> str:
        """Return the name of a file for people: `-` if it stands for a pipe."""
        return PIPE if path.parent == self.folder else str(path)


@contextmanager
def open_pipes(images: tuple[str, ...], output: Path, form: str | None) -> Iterator[Pipes]:
    """Read the standard input if an image is `-`, and write the standard output if that is `-`.

    Args:
        images: files, folders and globs.
        output: file or folder to write.
        form: format of the standard output; None for png.

    Raises:
        click.UsageError: if there are other images, or the standard output is a terminal.
    """
    reads, writes = PIPE in images, str(output) == PIPE
    if not reads and not writes:
        yield Pipes(images, output)
        return
    if len(images) > 1:
        raise click.UsageError(f"- must stand for the only image; there are {len(images)}")
    if writes and sys.stdout.isatty():
        raise click.UsageError("--output - must be a file or a pipe; it is a terminal")
    with TemporaryDirectory(prefix="lacuna-") as name:
        folder = Path(name)
        if reads:
            images = (str(folder / "stdin"),)
            with Path(images[0]).open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        target = folder / f"stdout.{form or 'png'}" if writes else output
        yield Pipes(images, target, folder, writes)
        if writes:
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
