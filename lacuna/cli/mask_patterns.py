"""Patterns of the paths of masks: `{stem}-mask.png`, `../masks/{name}`."""

from __future__ import annotations

import re
import string
from pathlib import Path, PurePath

import click

NO_MASKS = "none"
"""Value of `--mask` that says that there are no masks."""

_FIELDS = {"stem", "name", "suffix", "parent"}


def find_mask(image: Path, pattern: str | None) -> Path | None:
    """Return the path of an image's mask, whether the file exists or not.

    Args:
        image: image file.
        pattern: mask file; or a pattern with `{stem}`, `{name}`, `{suffix}` or `{parent}` of the
            image, relative to its folder; None or "none" for no mask.

    Raises:
        click.UsageError: if the pattern has other fields.
    """
    if pattern in (None, NO_MASKS):
        return None
    if not any(field is not None for _, field in _parse(pattern)):
        return Path(pattern)
    name = pattern.format(
        stem=image.stem, name=image.name, suffix=image.suffix, parent=image.parent.name
    )
    return image.parent / name


def has_form(path: Path, pattern: str) -> bool:
    """Return whether a path may be that of a mask, and its name says so.

    Args:
        path: of any file.
        pattern: as for `find_mask`.
    """
    parts = [part for part in PurePath(pattern).parts if part not in ("..", ".")]
    parsed = _parse("/".join(parts))
    told = re.sub(r"\.\w+$", "", "".join(literal for literal, _ in parsed))
    form = "".join(
        re.escape(literal) + ("" if field is None else "[^/]+") for literal, field in parsed
    )
    return bool(re.search(r"\w", told) and re.search(f"(?:^|/){form}$", path.as_posix()))


def _parse(pattern: str) -> list[tuple[str, str | None]]:
    """Return the literal texts of a pattern, each with the field after it."""
    try:
        parsed = [(literal, field) for literal, field, _, _ in string.Formatter().parse(pattern)]
        unknown = {field for _, field in parsed if field is not None} - _FIELDS
        if unknown:
            raise ValueError(f"it has {', '.join(sorted(unknown)) or 'a field of no name'}")
    except ValueError as error:
        known = ", ".join(f"{{{name}}}" for name in sorted(_FIELDS))
        raise click.UsageError(f"--mask must be a file or a pattern of {known}; {error}") from None
    return parsed
