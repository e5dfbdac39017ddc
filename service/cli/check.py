"""`lacuna check`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from lacuna.errors import InvalidGraphError
from service.cli.loading import load_saved_model
from service.engine.lifecycle.layout import explain_version


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--write-checksums",
    "writes_checksums",
    is_flag=True,
    help="First write the checksums of the model's files into its manifest.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random images.")
def check(folder: Path, seed: int, *, writes_checksums: bool) -> None:
    """Check that the model in DIR, <model>/<version>, keeps the promise.

    The model segments random images on several canvases, in batches with other images, with other
    values under the mask, and cut into tiles. The labels must never change. The receptive radius
    and the total stride are measured and compared with the manifest. Files must have the checksums
    that the manifest holds.

    The exit status is 0 if images may be padded, batched and tiled, and 1 if they may not or the
    model cannot be served. A model that fails the check is still served, one image at a time,
    without padding or tiling.
    """
    # These need the extra.
    from service.runtime.checksums import write_checksums  # noqa: PLC0415
    from service.runtime.probe import check_contract  # noqa: PLC0415

    fault = explain_version(folder, str(folder))
    if fault and not folder.exists():
        raise click.BadParameter(fault, param_hint="DIR")
    if fault:
        raise InvalidGraphError(fault)
    console = Console()
    with console.status(f"checking {folder}"):
        if writes_checksums:
            write_checksums(folder)
        runtime = load_saved_model(folder)
        report = check_contract(runtime, seed)
    table = Table("part of the contract", "", "measured", box=None, pad_edge=False)
    for part in report.checks:
        table.add_row(
            part.name, "[green]holds[/]" if part.passed else "[red]broken[/]", part.detail
        )
    console.print(table)
    if not runtime.manifest.checksums:
        console.print("\nThe manifest has no checksums, so damaged files go unnoticed.")
        click.echo(f"To add them: lacuna check --write-checksums {folder}")
    if not report.holds:
        console.print("\nServed one image at a time, unpadded and untiled.")
        raise SystemExit(1)
    console.print("\nMay be padded, batched and tiled: no answer changes.")
