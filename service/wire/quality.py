"""Lists of preferences with qualities, as in `Accept` and `Accept-Encoding` (RFC 9110, 12.4.2)."""

from __future__ import annotations


def read_qualities(header: str) -> list[tuple[str, float]]:
    """Read a header's list.

    Args:
        header: names with parameters, parted by commas.

    Returns:
        Each name in lower case with its quality, in their order: 1 where there is none, 0 where it
        is no number.
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
