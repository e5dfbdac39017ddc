"""Parameters that choose the bands of an image: `bands` and `alpha`, from text or JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from lacuna.excerpts import quote
from lacuna.raster.bands import Alpha, Band

ALPHAS: tuple[Alpha, ...] = ("auto", "yes", "no")
"""Values of the parameter `alpha`."""


def parse_bands(value: object) -> tuple[Band, ...] | None:
    """Parse bands from text or JSON.

    Args:
        value: a number, a text such as "4,3,2" or "nir, red, green", or a sequence of numbers and
            names. In a text, a name that holds a comma stands in double quotes, as in CSV.

    Returns:
        None if there is no value.

    Raises:
        ValueError: if the text is not of that form, or a number is less than 1.
        TypeError: if it is anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = _split(value)
    elif isinstance(value, int):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        raise TypeError(f"must be numbers or names; it is {quote(value)}")
    if not value:
        raise ValueError("must be at least one; there is none")
    return tuple(_parse_band(band) for band in value)


def write_bands(bands: Sequence[Band]) -> str:
    """Write bands as a text that `parse_bands` reads."""
    return ",".join(
        f'"{text.replace(chr(34), 2 * chr(34))}"' if {",", '"'} & {*text} else text
        for text in map(str, bands)
    )


def parse_alpha(value: object) -> Alpha:
    """Parse the choice of alpha from text.

    Args:
        value: one of `ALPHAS`; None or an empty text is the same as "auto".

    Raises:
        ValueError: if it is anything else.
    """
    if value is None or value == "":
        return "auto"
    if value not in ALPHAS:
        raise ValueError(f"must be one of {', '.join(ALPHAS)}; it is {quote(value)}")
    return value


def _split(text: str) -> list[str]:
    try:
        (fields,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise ValueError(f"must be numbers or names, and commas; it is {quote(text)}") from None
    return fields


def _parse_band(value: object) -> Band:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise ValueError("must be numbers or names, none of them empty; one is")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return text
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be numbers or names; one is {quote(value)}")
    if value < 1:
        raise ValueError(f"must be numbers from 1 or names; one is {quote(value)}")
    return value
