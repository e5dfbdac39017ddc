"""The command line `lacuna`: `segment`, `completion`, and the commands of other distributions."""

from __future__ import annotations

from typing import Any

import click

from lacuna import plugins
from lacuna.cli.completion import completion
from lacuna.cli.hints import HINTS
from lacuna.cli.segment import segment
from lacuna.distribution import VERSION, describe_extra, find_extra
from lacuna.errors import LacunaError

_OURS = ("lacuna", "service")


class _Commands(click.Group):
    """Group that loads installed commands by name and reports expected errors in one line.

    A mistake of our own surfaces with its traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, those of other distributions included."""
        return sorted({*super().list_commands(ctx), *plugins.list_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        return super().get_command(ctx, cmd_name) or plugins.load_command(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except LacunaError as error:
            if ctx.params["debug"]:
                raise
            hint = HINTS.get(getattr(error, "code", ""))
            raise click.ClickException(error.message + (f" ({hint})" if hint else "")) from error
        except OSError as error:
            if ctx.params["debug"] or error.filename is None:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error
        except ModuleNotFoundError as error:
            if ctx.params["debug"] or error.name is None or error.name.startswith(_OURS):
                raise
            extra = find_extra(error.name) or "serve"
            raise click.ClickException(
                f"{error.name} is not installed; it comes with the extra `{extra}`: "
                f"{describe_extra(extra)}"
            ) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION)
@click.option("--debug", is_flag=True, help="Show where an error comes from, as a traceback.")
def main(debug: bool) -> None:
    """Find the class of each pixel of an image, also where parts of the image are missing.

    A result never depends on padding, on other images, or on what stands in missing pixels.

    \b
    lacuna segment scene.png -o out.png --url URL     segment a file on a server
    lacuna segment --help                             folders, masks, pipes, large rasters

    With the extra `serve`, also:

    \b
    lacuna serve                                      serve the demo on 127.0.0.1:8000
    lacuna segment scene.png --mask m.png -o out.png  segment a file, without a server
    lacuna check models/mine/1                        check that a model keeps the promise
    lacuna bench http://127.0.0.1:8000                measure a running server under load
    lacuna config                                     show all settings, and where each comes from

    `lacuna completion bash` prints the shell code that completes all of this.
    """


for command in (segment, completion):
    main.add_command(command)
