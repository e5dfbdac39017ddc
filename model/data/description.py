"""`dataset.toml`, the description of a folder of images."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lacuna.raster.band_parameters import parse_bands
from lacuna.raster.bands import Alpha, Band, BandSelection
from lacuna.raster.nodata import NoData
from model.data.classes import ClassDescription, check_count, read_classes
from model.data.description_rules import IGNORED, RULES, are_names
from model.data.ignored import leave_out

DESCRIPTION_FILE = "dataset.toml"
Depth = Literal["uint8", "uint16", "float32"]


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
        label_field: attribute of polygons that tells their class, by name or by number.
        background: class of the pixels outside of all polygons; `IGNORED` for unknown.
        images_folder, labels_folder, masks_folder: where the files are, in the folder.
        image_suffix, label_suffix, mask_suffix: ends of their names, which the others lack.
        labels: whether label maps tell classes by `"numbers"`, or by the classes' `"colors"`.
        annotations: names of files of COCO, in place of labels.
        ignored_values: numbers in label maps and of polygons that mean unknown, besides
            `IGNORE_LABEL`.
        ignored_colors: the same of coloured ones.
        ignored_names: of classes and categories that mean unknown.
        unknown: whether a number, a color or a name in no table is an `"error"`, or means unknown.
        group: regular expression for the names of images; what its parentheses hold is the name of
            the group, which stands on one side of the split. None if every image is one.
        validation_groups: groups for validation.
        test_groups: groups for the final score.
        test_fraction: fraction of the images for the final score.
        blocks: side of the blocks of images that the fractions are of, in pixels; None for whole
            images.
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
    images_folder: str = "images"
    labels_folder: str = "labels"
    masks_folder: str = "masks"
    image_suffix: str = ""
    label_suffix: str = ""
    mask_suffix: str = ""
    labels: Literal["numbers", "colors"] = "numbers"
    annotations: tuple[str, ...] = ()
    ignored_values: tuple[int, ...] = ()
    ignored_colors: tuple[tuple[int, int, int], ...] = ()
    ignored_names: tuple[str, ...] = ()
    unknown: Literal["error", "ignore"] = "error"
    group: str | None = None
    validation_groups: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()
    test_fraction: float | None = None
    blocks: int | None = None
    band_names: tuple[str, ...] = ()

    @property
    def selection(self) -> BandSelection:
        """Bands of the images that are read."""
        return BandSelection(self.bands, self.alpha)


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
    classes, faults = read_classes(values.pop("classes", None), path.parent)
    ignored = leave_out(classes, values.pop("ignore", []))
    faults += _check_values(values, [entry.name for entry in ignored.classes])
    faults += _check_groups(values)
    faults += ignored.faults
    if classes:
        faults += check_count(ignored.classes)
    if faults:
        return None, faults
    annotations = values.get("annotations", [])
    return DatasetDescription(
        **{
            **values,
            "bands": parse_bands(values.get("bands")),
            "annotations": (annotations,) if isinstance(annotations, str) else tuple(annotations),
            "validation_groups": tuple(values.get("validation_groups", ())),
            "test_groups": tuple(values.get("test_groups", ())),
        },
        classes=ignored.classes,
        ignored_values=ignored.values,
        ignored_colors=ignored.colors,
        ignored_names=ignored.names,
    ), []


def _check_values(values: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """Return the faults of single keys."""
    faults = [] if "name" in values else ["name is missing"]
    for key, value in values.items():
        if key not in RULES:
            known = ", ".join(["classes", "ignore", *RULES])
            faults.append(f"{key} is unknown; there are {known}")
        elif not RULES[key][0](value):
            faults.append(f"{key} {RULES[key][1]}; it is {value!r}")
    background = values.get("background", IGNORED)
    if isinstance(background, str) and background not in (IGNORED, *classes):
        faults.append(f"background {RULES['background'][1]}; it is {background!r}")
    return faults


def _check_groups(values: Mapping[str, Any]) -> list[str]:
    """Return the faults of keys that go together."""
    faults = []
    for part in ("validation", "test"):
        if f"{part}_groups" in values and "group" not in values:
            faults.append(f"{part}_groups needs group, which names the group of an image")
        if f"{part}_groups" in values and f"{part}_fraction" in values:
            faults.append(f"{part}_groups and {part}_fraction exclude each other")
    if "blocks" in values and "group" in values:
        faults.append("blocks and group exclude each other")
    both = _read_names(values, "validation_groups") & _read_names(values, "test_groups")
    return faults + [f"test_groups: {name} is in validation_groups too" for name in sorted(both)]


def _read_names(values: Mapping[str, Any], key: str) -> set[str]:
    return set(values[key]) if are_names(values.get(key)) else set()
