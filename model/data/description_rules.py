"""Rules for the values in `dataset.toml`, one for each key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lacuna.errors import MalformedRequestError
from lacuna.raster.band_parameters import ALPHAS, parse_bands
from lacuna.raster.limits import MOST_CHANNELS
from lacuna.raster.nodata import NO_NODATA

IGNORED = "ignore"
"""Background of polygons whose class is unknown."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _is_fraction(value: Any) -> bool:
    return _is_number(value) and 0 < value < 1


def _is_folder(value: Any) -> bool:
    path = Path(value) if isinstance(value, str) and value else None
    return path is not None and not path.is_absolute() and ".." not in path.parts


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100


def are_names(value: Any) -> bool:
    """Return whether a value is a list of names, at least one."""
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bands(value: Any) -> bool:
    try:
        return parse_bands(value) is not None
    except MalformedRequestError:
        return False


RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "must be 1 to 100 letters, digits, dots, dashes and underscores",
    ),
    "description": (
        lambda value: isinstance(value, str) and len(value) <= 2000,
        "must be a text of at most 2000 characters",
    ),
    "nodata": (
        lambda value: _is_number(value) or value == NO_NODATA,
        f'must be a number or "{NO_NODATA}"',
    ),
    "channels": (
        lambda value: (
            isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_CHANNELS
        ),
        f"must be 1 to {MOST_CHANNELS}",
    ),
    "dtype": (
        lambda value: value in ("uint8", "uint16", "float32"),
        'must be "uint8", "uint16" or "float32"',
    ),
    "validation_fraction": (_is_fraction, "must be between 0 and 1"),
    "test_fraction": (_is_fraction, "must be between 0 and 1"),
    "bands": (_is_bands, "must be a list of numbers from 1 or names"),
    "alpha": (
        lambda value: value in ALPHAS,
        "must be " + " or ".join(f'"{choice}"' for choice in ALPHAS),
    ),
    "label_field": (
        lambda value: isinstance(value, str) and 1 <= len(value) <= 100,
        "must be the name of an attribute, of 1 to 100 letters",
    ),
    "background": (
        lambda value: isinstance(value, str),
        f'must be "{IGNORED}" or the name of a class',
    ),
    "images_folder": (_is_folder, "must be a path in the folder"),
    "labels_folder": (_is_folder, "must be a path in the folder"),
    "masks_folder": (_is_folder, "must be a path in the folder"),
    "image_suffix": (_is_text, "must be the end of names, of at most 100 letters"),
    "label_suffix": (_is_text, "must be the end of names, of at most 100 letters"),
    "mask_suffix": (_is_text, "must be the end of names, of at most 100 letters"),
    "labels": (lambda value: value in ("numbers", "colors"), 'must be "numbers" or "colors"'),
    "annotations": (
        lambda value: _is_folder(value) or are_names(value),
        "must be the name of a file of COCO, or a list of them",
    ),
    "blocks": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 64,
        "must be the side of a block in pixels, at least 64",
    ),
    "unknown": (lambda value: value in ("error", "ignore"), 'must be "error" or "ignore"'),
    "group": (_is_pattern, "must be a regular expression"),
    "validation_groups": (are_names, "must be a list of names of groups"),
    "test_groups": (are_names, "must be a list of names of groups"),
}
