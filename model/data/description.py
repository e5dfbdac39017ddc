"""`dataset.toml`, the description of a folder of images."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lacuna.errors import MalformedRequestError
from lacuna.raster.band_parameters import ALPHAS, parse_bands
from lacuna.raster.bands import Alpha, Band, BandSelection
from lacuna.raster.limits import MOST_CHANNELS
from lacuna.raster.nodata import NO_NODATA, NoData

DESCRIPTION_FILE = "dataset.toml"
Depth = Literal["uint8", "uint16", "float32"]

IGNORED = "ignore"
"""Background of polygons whose class is unknown."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ClassDescription:
    """A class that a pixel can belong to.

    Attributes:
        name: for people.
        color: `#rrggbb`, for pictures of it.
    """

    name: str
    color: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


@dataclass(frozen=True)
class DatasetDescription:
    """Contents of `dataset.toml`.

    Attributes:
        name: of the model on the server.
        classes: in the order of their ids.
        description: one or two sentences for people.
        nodata: value of missing pixels, in the images' own units, in place of those that the files
            name; None for these.
        channels: of the images; if None, those of most images.
        dtype: of the images; if None, that of most images.
        validation_fraction: fraction of the images for validation.
        bands: numbers or names of the bands that are the channels, in order; None for all but
            alpha.
        alpha: which band is alpha.
        label_field: attribute of polygons that tells their class, by name or id.
        background: class of the pixels outside of all polygons; `IGNORED` for unknown.
        band_names: of the channels: those in `bands`, or those that all images have; empty if there
            are none. It is no key of the file.
    """

    name: str
    classes: tuple[ClassDescription, ...]
    description: str = ""
    nodata: NoData | None = None
    channels: int | None = None
    dtype: Depth | None = None
    validation_fraction: float | None = None
    bands: tuple[Band, ...] | None = None
    alpha: Alpha = "auto"
    label_field: str = "class"
    background: str = IGNORED
    band_names: tuple[str, ...] = ()

    @property
    def selection(self) -> BandSelection:
        """Bands of the images that are read."""
        return BandSelection(self.bands, self.alpha)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bands(value: Any) -> bool:
    try:
        return parse_bands(value) is not None
    except MalformedRequestError:
        return False


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
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
    "validation_fraction": (
        lambda value: _is_number(value) and 0 < value < 1,
        "must be between 0 and 1",
    ),
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
}


def read_description(path: Path) -> tuple[DatasetDescription | None, list[str]]:
    """Read `dataset.toml`.

    Args:
        path: of the file.

    Returns:
        The description, None if something is wrong with it; and all that is wrong.
    """
    try:
        values = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return None, ["is missing; it names the model and its classes"]
    except (OSError, ValueError) as error:
        return None, [f"must be TOML; {error}"]
    classes, faults = _read_classes(values.pop("classes", None))
    if "name" not in values:
        faults.append("name is missing")
    for key, value in values.items():
        if key not in _RULES:
            known = ", ".join(["classes", *_RULES])
            faults.append(f"{key} is unknown; there are {known}")
        elif not _RULES[key][0](value):
            faults.append(f"{key} {_RULES[key][1]}; it is {value!r}")
    background, names = values.get("background", IGNORED), [entry.name for entry in classes]
    if isinstance(background, str) and background not in (IGNORED, *names):
        faults.append(f"background {_RULES['background'][1]}; it is {background!r}")
    if faults:
        return None, faults
    values["bands"] = parse_bands(values.get("bands"))
    return DatasetDescription(classes=classes, **values), []


def _read_classes(values: Any) -> tuple[tuple[ClassDescription, ...], list[str]]:
    rule = 'classes must be a list of 2 to 255 like {name = "water", color = "#4477aa"}'
    if not isinstance(values, list) or not 2 <= len(values) <= 255:
        return (), [f"{rule}; it is {values!r}"]
    faults = [
        f"classes: number {index} must have a name of 1 to 100 letters and a color like #4477aa, "
        f"and nothing else; it is {value!r}"
        for index, value in enumerate(values)
        if not _is_class(value)
    ]
    if faults:
        return (), faults
    names = [value["name"] for value in values]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        return (), [f"classes must have different names; {', '.join(repeated)} is repeated"]
    return tuple(ClassDescription(**value) for value in values), []


def _is_class(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"name", "color"}
        and isinstance(value["name"], str)
        and 1 <= len(value["name"]) <= 100
        and isinstance(value["color"], str)
        and _COLOR.fullmatch(value["color"]) is not None
    )
