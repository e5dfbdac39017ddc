"""Reference of the command line, from the help of each command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lacuna.cli import main as lacuna
from model.cli import main as lacuna_model
from scripts.documentation.markdown import fence

PROGRAMS = {"lacuna": lacuna, "lacuna-model": lacuna_model}
_WIDTH = 100


_INTRODUCTION = """\
# Commands

What `--help` says. `lacuna` comes with the package; `serve`, `check`, `bench` and `config` with the
extra `serve`, and `lacuna-model` with the extra `train` ([installation](../install.md))."""


def write_commands_page() -> dict[str, str]:
    """Return the page, by its path below docs/."""
    parts = [_INTRODUCTION]
    for name, text in list_helps():
        parts += [f"## {name}", fence(text)]
    return {"reference/commands.md": "\n\n".join([*parts, ""])}


def list_helps() -> Iterator[tuple[str, str]]:
    """Yield each command, with its help."""
    for name, program in PROGRAMS.items():
        context = click.Context(program, info_name=name, terminal_width=_WIDTH)
        yield name, program.get_help(context)
        for command in program.list_commands(context):
            found = program.get_command(context, command)
            if found is not None:
                below = click.Context(found, context, command, terminal_width=_WIDTH)
                yield f"{name} {command}", found.get_help(below)
