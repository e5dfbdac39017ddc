"""Parameters that choose the bands of an image: `bands` and `alpha`, from text or JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from numbers import Integral

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import quote
from lacuna.raster.bands import EVERY_BAND, Alpha, Band, BandSelection

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
        MalformedRequestError: if it is anything else, or a number is less than 1.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = _split(value)
    elif isinstance(value, Integral):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        raise _explain(value)
    if not value:
        raise MalformedRequestError("bands must name at least one; they name none")
    return tuple(_parse_band(band) for band in value)


def parse_selection(bands: object, alpha: object) -> BandSelection:
    """Parse `bands` and `alpha`; see `parse_bands` and `parse_alpha`."""
    if bands is None and alpha is None:
        return EVERY_BAND
    return BandSelection(parse_bands(bands), parse_alpha(alpha))


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
        MalformedRequestError: if it is anything else.
    """
    if value is None or value == "":
        return "auto"
    if value not in ALPHAS:
        raise MalformedRequestError(
            f"alpha must be one of {', '.join(ALPHAS)}; it is {quote(value)}"
        )
    return value


def _split(text: str) -> list[str]:
    try:
        (fields,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise _explain(text) from None
    return fields


def _parse_band(value: object) -> Band:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise MalformedRequestError("bands must be numbers or names; one is empty")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return text
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise MalformedRequestError(f"bands must be numbers or names; one is {quote(value)}")
    if value < 1:
        raise MalformedRequestError(f"bands are counted from 1; one is {quote(value)}")
    return int(value)


def _explain(value: object) -> MalformedRequestError:
    return MalformedRequestError(
        f"bands must be numbers or names, with commas between them; they are {quote(value)}"
    )
