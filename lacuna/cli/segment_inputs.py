"""Image files that `lacuna segment` is given: files, folders and globs."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from lacuna.raster.formats import IMAGE_SUFFIXES

_GDAL_NAME = re.compile(r"/vsi[a-z0-9_]+/|[A-Z][A-Z0-9_]+:")
"""A file system of GDAL, or a driver before what it opens."""


class FoundImage(NamedTuple):
    """Image file of the command line.

    Attributes:
        path: of the file.
        below: its path relative to the input, for its output.
        is_named: whether it is an input itself, not found in a folder or by a glob.
        source: name of a raster that GDAL opens and that is no file; None for a file.
    """

    path: Path
    below: Path
    is_named: bool
    source: str | None = None


def find_images(inputs: Sequence[str], output: Path) -> list[FoundImage]:
    """Return each image once, in the order of the inputs.

    Args:
        inputs: files, folders and globs.
        output: output file or folder; files below it are not images, if it is in an input folder.

    Raises:
        click.UsageError: if an input does not exist.
    """
    found: dict[Path, FoundImage] = {}
    for text in inputs:
        for image in _expand(text, output):
            first = found.setdefault(image.path.absolute(), image)
            if image.is_named:
                found[image.path.absolute()] = first._replace(is_named=True)
    return list(found.values())


def is_gdal_name(text: str) -> bool:
    """Return whether a text is a name of GDAL: `/vsizip/a.zip/b.tif`, `NETCDF:"a.nc":band`."""
    return not Path(text).exists() and _GDAL_NAME.match(text) is not None


def is_image(path: Path) -> bool:
    """Return whether a path is that of an image file, by its name."""
    return (
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _expand(text: str, output: Path) -> Iterator[FoundImage]:
    path = Path(text)
    if path.is_file():
        yield FoundImage(path, Path(path.name), is_named=True)
    elif path.is_dir():
        folder, apart = path.absolute(), output.absolute()
        within = folder in apart.parents
        for image in sorted(filter(is_image, path.rglob("*"))):
            if not (within and apart in image.absolute().parents):
                yield FoundImage(image, image.relative_to(path), is_named=False)
    elif glob.has_magic(text) and not is_gdal_name(text):
        for name in sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 (any root, as typed)
            if is_image(Path(name)):
                yield FoundImage(Path(name), Path(Path(name).name), is_named=False)
    elif is_gdal_name(text):
        yield FoundImage(path, Path(path.name), is_named=True, source=text)
    else:
        raise click.UsageError(f"IMAGES must exist; {text} does not exist")
