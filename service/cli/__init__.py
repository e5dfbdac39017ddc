"""The command line: `lacuna serve | segment | check | bench | config | completion`."""

from __future__ import annotations

from typing import Any

import click

from lacuna.errors import LacunaError
from service.cli.bench import bench
from service.cli.check import check
from service.cli.completion import completion
from service.cli.config import config
from service.cli.hints import HINTS
from service.cli.segment import segment
from service.cli.serve import serve


class _Commands(click.Group):
    """Tells what people can mend in one line; a mistake of our own surfaces with its traceback."""

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
            if ctx.params["debug"] or error.name is None or error.name.startswith("service"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed; pip install 'lacuna[serve]' brings it"
            ) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="lacuna")
@click.option("--debug", is_flag=True, help="Show where an error comes from, as a traceback.")
def main(debug: bool) -> None:
    """Segment images with missing pixels.

    No answer depends on padding, on other images, or on what stands under the mask.

    \b
    lacuna serve                                      serve the demo model on 127.0.0.1:8000
    lacuna segment scene.png --mask m.png -o out.png  segment a file, without a server
    lacuna check models/mine/1                        see whether a model keeps the promise
    lacuna bench http://127.0.0.1:8000                load a running server, and measure it
    lacuna config                                     show all settings, and where each comes from
    lacuna completion bash                            print what makes the shell complete all this
    """


for command in (serve, segment, check, bench, config, completion):
    main.add_command(command)
