"""`lacuna-model samples`."""

from __future__ import annotations

from pathlib import Path

import click

from model.cli.loading import load_tensorflow


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def samples(folder: Path) -> None:
    """Write samples of the demo's models, images and masks, into FOLDER/MODEL."""
    load_tensorflow()
    from model.data.samples import write_samples  # noqa: PLC0415

    for path in write_samples(folder):
        click.echo(path)
