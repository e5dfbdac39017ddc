"""Facts about a network that its file does not show, and a person tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.adopt.source import AdoptionError

FILLS = ("zero", "mean", "nearest", "constant")
WHITES = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
NEAREST_CELL = 64
"""Side in pixels of the largest cell whose mean fills missing pixels."""

_MOST_CLASSES = 255
_LONGEST_DESCRIPTION = 2000
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_NAME = re.compile(r"[^=]{1,100}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# The palette of Paul Tol for qualitative data, which people with any colour vision tell apart.
_COLORS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#bbbbbb",
    "#000000",
)


@dataclass(frozen=True)
class AdoptionOptions:
    """Facts that a person tells about a network.

    Attributes:
        name: name of the model on the server.
        description: one or two sentences for people.
        classes: `NAME` or `NAME=#rrggbb` of each class, in the order of the ids.
        dtype: type of the images, `"uint8"`, `"uint16"` or `"float32"`.
        value_range: values that the network takes for 0 and for the largest number of `dtype`; None
            if it scales raw values itself. Values of float32 are given to it as they are.
        mean: subtracted from each channel, after the range.
        deviation: divides each channel then.
        fill: value of missing pixels, one of `FILLS`: 0, the mean of the image's valid pixels, the
            mean of the valid pixels in the smallest cell around that has any, or a constant.
        constant: the constant, a raw value.
        upsampling: interpolation of outputs at a fraction of the resolution.
        threshold: probability from which a pixel belongs to the second of two classes, if there is
            one output.
        overlap: pixels that neighbouring tiles have in common, if the size of the input is fixed;
            None to choose it.
        masked: True to convert the network into one that ignores missing pixels; see
            `model.convert`.
        allow: names or classes of layers that may then take statistics over the valid pixels.
    """

    name: str
    classes: Sequence[str]
    description: str = ""
    dtype: str = "uint8"
    value_range: tuple[float, float] | None = None
    mean: Sequence[float] = ()
    deviation: Sequence[float] = ()
    fill: str = "zero"
    constant: float = 0.0
    upsampling: str = "bilinear"
    threshold: float = 0.5
    overlap: int | None = None
    masked: bool = False
    allow: Sequence[str] = ()


@dataclass(frozen=True)
class Scaling:
    """Scaling of raw values to those that a network takes: raw · scale + offset, per channel."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def __str__(self) -> str:
        """Return the formula, or that there is none."""
        if set(self.scale) == {1.0} and set(self.offset) == {0.0}:
            return "raw values"
        scale, offset = (
            ", ".join(f"{value:.6g}" for value in sorted(set(values)))
            for values in (self.scale, self.offset)
        )
        return f"raw · ({scale}) + ({offset})"


def check_options(options: AdoptionOptions) -> None:
    """Check what can be checked before anything is known of the network.

    Raises:
        AdoptionError: if a number is none or infinite, the ends of the range are equal, or the
            description is too long.
    """
    numbers = {
        "--range": options.value_range or (),
        "--mean": options.mean,
        "--deviation": options.deviation,
        "--fill-value": (options.constant,),
        "--threshold": (options.threshold,),
    }
    for name, values in numbers.items():
        if not all(abs(value) <= _LARGEST_NUMBER for value in values):  # false for NaN
            raise AdoptionError(f"{name} must be finite in float32; it is {_list(values)}")
    if options.value_range is not None and len(set(options.value_range)) == 1:
        raise AdoptionError(f"--range must be two numbers; it is {_list(options.value_range)}")
    if len(options.description) > _LONGEST_DESCRIPTION:
        raise AdoptionError(
            f"--description must have at most {_LONGEST_DESCRIPTION} characters; it has "
            f"{len(options.description)}"
        )


def check_use(options: AdoptionOptions, outputs: int, factor: int) -> None:
    """Check that what was told has a use.

    Args:
        options: what was told.
        outputs: number of the network's outputs.
        factor: pixels of the image for one of the output, along each side.

    Raises:
        AdoptionError: if something has none.
    """
    if options.threshold != AdoptionOptions.threshold and outputs > 1:
        raise AdoptionError(f"--threshold is for one output; there are {outputs}")
    if options.upsampling != AdoptionOptions.upsampling and factor == 1:
        raise AdoptionError(
            "--upsample is for outputs at a fraction of the resolution; "
            + (
                "a masked network upsamples them itself, bilinearly"
                if options.masked
                else "these have all of it"
            )
        )


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def make_scaling(options: AdoptionOptions, channels: int) -> Scaling:
    """Return the scaling before the network.

    Args:
        options: what was told.
        channels: number of the image's channels.

    Raises:
        AdoptionError: if numbers are not one, or one for each channel, or deviations are not above
            0.
    """
    white = WHITES[options.dtype]
    low, high = options.value_range or (0.0, white)
    means = _spread("--mean", options.mean, channels, 0.0)
    deviations = _spread("--deviation", options.deviation, channels, 1.0)
    if not all(value > 0 for value in deviations):
        raise AdoptionError(f"--deviation must be above 0; it is {tuple(deviations)}")
    scales = [(high - low) / white / deviation for deviation in deviations]
    offsets = [(low - mean) / deviation for mean, deviation in zip(means, deviations, strict=True)]
    return Scaling(tuple(scales), tuple(offsets))


def _spread(name: str, values: Sequence[float], channels: int, default: float) -> list[float]:
    values = list(values) or [default]
    if len(values) not in (1, channels):
        raise AdoptionError(
            f"{name} must be one number, or one for each of the {channels} channels; they are "
            f"{len(values)}"
        )
    return values * channels if len(values) == 1 else values


def describe_classes(texts: Sequence[str], expected: int) -> list[dict[str, Any]]:
    """Return the manifest's list of classes.

    Args:
        texts: `NAME` or `NAME=#rrggbb` of each class.
        expected: number of the network's classes.

    Raises:
        AdoptionError: if their number is another, a name is repeated, or one is malformed.
    """
    if len(texts) != expected or expected > _MOST_CLASSES:
        raise AdoptionError(
            f"--class must be given once for each of the network's {expected} classes, of at most "
            f"{_MOST_CLASSES}; it is given {len(texts)} times"
        )
    classes: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        name, separator, color = text.partition("=")
        is_name = _NAME.fullmatch(name) and name.isprintable() and name.strip() == name
        if not is_name or (separator and not _COLOR.fullmatch(color)):
            raise AdoptionError(f"--class must be NAME or NAME=#rrggbb; it is {text!r}")
        classes.append({"id": index, "name": name, "color": color or _choose_color(index)})
    names = [str(entry["name"]) for entry in classes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise AdoptionError(f"classes must have different names; {', '.join(repeated)} is repeated")
    return classes


def _choose_color(index: int) -> str:
    if index < len(_COLORS):
        return _COLORS[index]
    red, green, blue = np.random.default_rng(index).integers(32, 224, 3)
    return f"#{red:02x}{green:02x}{blue:02x}"
