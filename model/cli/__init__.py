"""Command line: `lacuna-model validate | train | evaluate | export | adopt | samples`."""

from __future__ import annotations

import os
from typing import Any

import click

from lacuna.distribution import VERSION, describe_extra
from lacuna.errors import MissingExtraError
from model.cli.adopt import adopt
from model.cli.evaluate import evaluate
from model.cli.export import export
from model.cli.samples import samples
from model.cli.train import train
from model.cli.validate import validate

# The commands import TensorFlow and everything that needs it, so that --help answers at once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class _Commands(click.Group):
    """Group of commands that reports a missing package in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except MissingExtraError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("model"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed; training needs the extra `train`: "
                f"{describe_extra('train')}"
            ) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION)
def main() -> None:
    """Train masked segmentation networks, score them, and export them for `lacuna serve`.

    \b
    lacuna-model train --data fields --output runs/fields
    lacuna serve --model-repository runs/fields/model

    \b
    lacuna-model train --preset groundcover --output runs/groundcover
    lacuna-model evaluate runs/groundcover
    lacuna-model export runs/groundcover models/groundcover/1
    lacuna serve --model-repository models
    """


for command in (validate, train, evaluate, export, adopt, samples):
    main.add_command(command)
