"""`lacuna config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.table import Table
from rich.text import Text

from lacuna.cli.console import make_console

if TYPE_CHECKING:
    from pydantic import BaseModel

_MASKED = "********"


class EffectiveSetting(NamedTuple):
    """Setting in force.

    Attributes:
        variable: environment variable of the setting.
        value: JSON value; secrets are masked.
        origin: `environment` or `default`.
        meaning: text that says what an empty value means; empty if nothing does.
    """

    variable: str
    value: Any
    origin: str
    meaning: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--changed", is_flag=True, help="Show only settings that differ from their defaults.")
def config(as_json: bool, changed: bool) -> None:
    """Show the settings that `lacuna serve` would start with, and where each comes from.

    Each is an environment variable. Options of `lacuna serve` take precedence. Keys are masked.
    """
    from service.config import (  # noqa: PLC0415 (needs the extra)
        PREFIX,
        list_injected_variables,
        read_settings,
    )

    settings = [
        setting
        for setting in list_effective(read_settings(), PREFIX)
        if not changed or setting.origin != "default"
    ]
    ignored = list_injected_variables()
    if ignored:
        click.echo(f"ignored, set by Kubernetes or Docker: {', '.join(ignored)}", err=True)
    if as_json:
        content = {name: {"value": value, "from": origin} for name, value, origin, _ in settings}
        click.echo(json.dumps(content, indent=2))
        return
    table = Table("variable", "value", "from", box=None, pad_edge=False)
    for variable, value, origin, meaning in settings:
        style = "" if origin == "default" else "green"
        shown = _write(value) or meaning
        table.add_row(variable, Text(shown, overflow="fold"), Text(origin, style))
    make_console().print(table)


def list_effective(settings: BaseModel, prefix: str) -> Iterator[EffectiveSetting]:
    """Yield settings with their origins.

    Args:
        settings: settings read from the environment alone, so that every one that is set was set
            there.
        prefix: prefix of the names of their variables.
    """
    from pydantic import BaseModel, SecretStr  # noqa: PLC0415

    from service.config import DELIMITER  # noqa: PLC0415
    from service.config_groups import find_meaning  # noqa: PLC0415

    plain = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        value, variable = getattr(settings, name), prefix + name.upper()
        if isinstance(value, BaseModel):
            yield from list_effective(value, variable + DELIMITER)
            continue
        origin = "environment" if name in settings.model_fields_set else "default"
        shown = _MASKED if isinstance(value, SecretStr) else plain[name]
        yield EffectiveSetting(variable, shown, origin, find_meaning(field))


def _write(value: Any) -> str:
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)
