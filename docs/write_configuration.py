"""Writes the table of docs/configuration.md from the settings, and leaves the prose around it.

python docs/write_configuration.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from pydantic.fields import FieldInfo

from service.cli.serve import serve
from service.config import PREFIX, list_fields
from service.config_groups import find_meaning

PAGE = Path(__file__).parent / "configuration.md"
BEGIN = "<!-- From service/config.py, by `make docs`: -->\n"
END = "<!-- end of the table -->\n"


def write_page(page: str) -> str:
    """Return the page with its table as the settings are now.

    Args:
        page: as it is, with both markers.

    Raises:
        ValueError: if a marker is missing, or a setting does not say what it means.
    """
    before, rest = _split(page, BEGIN)
    _, after = _split(rest, END)
    return before + BEGIN + "".join(f"{line}\n" for line in _list_lines()) + END + after


def _split(text: str, marker: str) -> tuple[str, str]:
    before, found, after = text.partition(marker)
    if not found:
        raise ValueError(f"the page must have the line {marker.strip()!r}; it has not")
    return before, after


def _list_lines() -> Iterator[str]:
    yield "| variable | default | meaning |"
    yield "|---|---|---|"
    for variable, field in list_fields():
        meaning = "; ".join([_describe(variable, field), *_find_option(variable)])
        yield f"| `{variable}` | {_describe_default(field)} | {meaning} |"


def _describe(variable: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"a setting must say below its field what it means; {variable} does not")
    return " ".join(field.description.split()).replace("|", r"\|")


def _describe_default(field: FieldInfo) -> str:
    return find_meaning(field) or f"`{field.default}`"


def _find_option(variable: str) -> Iterator[str]:
    """Return the option of `lacuna serve` for a setting; of a switch, the form that changes it."""
    for option in serve.params:
        if isinstance(option, click.Option) and PREFIX + str(option.name).upper() == variable:
            yield f"`{(option.secondary_opts or option.opts)[0]}`"


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text()))
