"""The command line: `lacuna serve | segment | check`."""

from __future__ import annotations

from typing import Any

import click

from service.cli.check import check
from service.cli.segment import segment
from service.cli.serve import serve
from service.errors import LacunaError


class _Commands(click.Group):
    """Tells what people can mend in one line; all else surfaces with its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except LacunaError as error:
            raise click.ClickException(error.message) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("service"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed; pip install 'lacuna[serve]' brings it"
            ) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="lacuna")
def main() -> None:
    """Segment images with missing pixels.

    No answer depends on padding, on other images, or on what stands under the mask.

    \b
    lacuna serve                                      serve the demo model on 127.0.0.1:8000
    lacuna segment scene.png --mask m.png -o out.png  segment a file, without a server
    lacuna check models/mine/1                        see whether a model keeps the promise
    """


for command in (serve, segment, check):
    main.add_command(command)
