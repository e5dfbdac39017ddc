"""`lacuna check`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from service.cli.loading import load_saved_model


@click.command()
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--seed", default=0, show_default=True, help="Of the random images.")
def check(folder: Path, seed: int) -> None:
    """Check that the model in DIR, <model>/<version>, keeps the promise.

    Random images go through the model in several canvases, beside other images, with other values
    under the mask, and cut at other places; their labels must never change. How far a pixel's
    influence reaches and on which grid the model works is measured and held against its manifest.

    The exit status is 0 if the model may be padded, batched and tiled; 1 if it may not, or cannot
    be served at all. A model that fails here is still served, uncut and one image at a time.
    """
    console = Console()
    with console.status(f"checking {folder}"):
        from service.runtime.probe import check_contract  # noqa: PLC0415 (needs the extra)

        report = check_contract(load_saved_model(folder), seed)
    table = Table("part of the contract", "", "measured", box=None, pad_edge=False)
    for part in report.checks:
        table.add_row(
            part.name, "[green]holds[/]" if part.passed else "[red]broken[/]", part.detail
        )
    console.print(table)
    if not report.holds:
        console.print("\nServed one image at a time, unpadded and untiled.")
        raise SystemExit(1)
    console.print("\nMay be padded, batched and tiled: no answer changes.")
