"""Parameters of requests to `POST /v1/segment` and `/v1/preview`.

Each may be in the query or in the form or JSON object, but not in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lacuna.errors import (
    MalformedRequestError,
)
from lacuna.excerpts import quote
from lacuna.planes import PLANES
from lacuna.raster.band_parameters import parse_selection
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.nodata import NoData, parse_nodata

STRETCHES = ("none", "percentile")
"""Values of the parameter `stretch`."""

MAX_FIELD_BYTES = 4000
"""Most bytes of a parameter in a form. The numbers of 512 bands have 1939."""


@dataclass(frozen=True)
class Parameters:
    """Parameters of a request.

    Attributes:
        model: name of the model; None for the default one, or the only one.
        version: version of the model, digits; None for the highest in service.
        nodata: value of missing pixels in the units of the image, in place of those that the file
            names; None for these.
        timeout_s: seconds that the client will wait; None for no limit.
        stretch: `percentile` to stretch the values to the range of the training data, or `none`.
        bands: bands of the image that are its channels, and alpha.
        also: planes that the answer holds beside the labels; empty for those of its type.
    """

    model: str | None = None
    version: str | None = None
    nodata: NoData | None = None
    timeout_s: float | None = None
    stretch: str = "none"
    bands: BandSelection = EVERY_BAND
    also: tuple[str, ...] = ()


_NONE_GIVEN = Parameters()

PARAMETERS = ("model", "version", "nodata", "timeout_s", "stretch", "bands", "alpha", "also")
"""Names of the parameters of a request."""


def read_parameters(given: Mapping[str, Any]) -> Parameters:
    """Parse parameters from text or JSON values.

    Args:
        given: values by name; None and the empty string count as missing.

    Raises:
        MalformedRequestError: if a name is unknown, or a value has the wrong type or range.
    """
    for name, value in given.items():
        if name not in PARAMETERS:
            raise MalformedRequestError(
                f"a parameter must be one of {', '.join(PARAMETERS)}; it is {name[:100]}"
            )
        if isinstance(value, str) and len(value) > MAX_FIELD_BYTES:
            raise MalformedRequestError(
                f"{name} must have at most {MAX_FIELD_BYTES} bytes; it has {len(value)}"
            )
    timeout_s = _read_number(given, "timeout_s")
    if timeout_s is not None and not (math.isfinite(timeout_s) and timeout_s > 0):
        raise MalformedRequestError(f"timeout_s must be positive and finite; it is {timeout_s:g}")
    return Parameters(
        _read_text(given, "model"),
        _read_text(given, "version"),
        _read_nodata(given),
        timeout_s,
        _read_stretch(given),
        parse_selection(given.get("bands"), given.get("alpha")),
        _read_also(given),
    )


def _read_stretch(given: Mapping[str, Any]) -> str:
    stretch = _read_text(given, "stretch") or "none"
    if stretch not in STRETCHES:
        raise MalformedRequestError(
            f"stretch must be one of {', '.join(STRETCHES)}; it is {quote(stretch)}"
        )
    return stretch


def _read_also(given: Mapping[str, Any]) -> tuple[str, ...]:
    text = _read_text(given, "also") or ""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PLANES:
            raise MalformedRequestError(
                f"also must name planes of {', '.join(PLANES)}; it names {quote(name)}"
            )
    return tuple(name for name in PLANES if name in names)


def merge_parameters(query: Mapping[str, Any], body: Mapping[str, Any]) -> Parameters:
    """Parse parameters that may be outside of the body or in it.

    Args:
        query: values outside of the body, by name.
        body: values in the body, by name.

    Raises:
        MalformedRequestError: if a name is unknown or in both, or a value has the wrong type or
            range.
    """
    if not query and not body:
        return _NONE_GIVEN
    for name in query:
        if name in body:
            raise MalformedRequestError(
                f"{name[:100]} must be in the query or in the body; it is in both"
            )
    return read_parameters({**query, **body})


def _read_text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MalformedRequestError(f"{name} must be text; it is {quote(value)}")


def _read_number(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedRequestError(f"{name} must be a number; it is {quote(value)}") from None


def _read_nodata(given: Mapping[str, Any]) -> NoData | None:
    value = given.get("nodata")
    if value is None or value == "":
        return None
    try:
        return parse_nodata(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedRequestError(
            f"nodata must be a number, nan or none; it is {quote(value)}"
        ) from None
