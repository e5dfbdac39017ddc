"""Parsing of headers with quality values, `Accept` and `Accept-Encoding` (RFC 9110, 12.4.2)."""

from __future__ import annotations


def read_qualities(header: str) -> list[tuple[str, float]]:
    """Parse a header.

    Args:
        header: names with parameters, separated by commas.

    Returns:
        Names in lower case with their qualities, in the order of the header. A missing quality is
        1; one that is not a number is 0.
    """
    return [_read_item(item) for item in header.split(",") if item.strip()]


def _read_item(item: str) -> tuple[str, float]:
    name, *parameters = item.split(";")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            return name.strip().lower(), _read_number(value)
    return name.strip().lower(), 1.0


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
