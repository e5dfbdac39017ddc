"""`lacuna check`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from lacuna.cli.console import make_console
from lacuna.errors import InvalidGraphError
from service.core.model_formats import ONNX, SAVED_MODEL, ModelFormat
from service.engine.lifecycle.layout import explain_version
from service.local.loading import load_model

_WITHOUT_TILES: Mapping[ModelFormat, str] = MappingProxyType(
    {
        ONNX: "In ONNX, tiles cost their halos in full.",
        SAVED_MODEL: "Without the signatures tile and tile_labels, tiles cost their halos in full.",
    }
)

if TYPE_CHECKING:
    from service.runtime.contract.report import ContractReport
    from service.runtime.protocol import Runtime


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--write-checksums",
    "writes_checksums",
    is_flag=True,
    help="First write the checksums of the model's files into its manifest.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of the model's arithmetic.",
)
@click.option(
    "--write-scores",
    "writes_scores",
    is_flag=True,
    help="Write the labels that differ from float32 into the scores of the model's manifest.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random images.")
def check(
    folder: Path, seed: int, precision: str, *, writes_checksums: bool, writes_scores: bool
) -> None:
    """Check that the model in DIR, <model>/<version>, keeps the promise.

    The model segments random images on several canvases, in batches with other images, with other
    values under the mask, and cut into tiles, which are also computed alone if the model has
    signatures for that. The labels must never change. The receptive radius
    and the total stride are measured and compared with the manifest. Files must have the checksums
    that the manifest holds.

    With --precision bfloat16, the model runs in this precision, and the labels that differ from
    float32 are counted: on random images, and on the model's own samples, the images in
    assets.extra/samples.

    The exit status is 0 if images may be padded, batched and tiled, and 1 if they may not or the
    model cannot be served. A model that fails the check is still served as well as can be: the last
    line says how. In bfloat16 it is not, if it keeps more in float32.
    """
    # These need the extra.
    from service.runtime.checksums import write_checksums  # noqa: PLC0415
    from service.runtime.contract.checking import check_contract  # noqa: PLC0415
    from service.runtime.precision import find_lost  # noqa: PLC0415
    from service.runtime.serving import describe_serving  # noqa: PLC0415

    is_bfloat16 = precision == "bfloat16"
    if writes_scores and not is_bfloat16:
        raise click.UsageError("--write-scores needs --precision bfloat16; it is float32")
    _check_place(folder)
    console = make_console()
    with console.status(f"checking {folder}"):
        if writes_checksums:
            write_checksums(folder)
        runtime = loaded = load_model(folder)
        if is_bfloat16:
            runtime = loaded.in_bfloat16()
        report = check_contract(runtime, seed)
    _print_checks(console, report)
    console.print(f"\nRun by {runtime.model_format.library}.")
    lost = []
    if is_bfloat16:
        _print_agreement(console, folder, runtime, loaded, writes_scores=writes_scores)
        lost = find_lost(report, loaded)
    if not runtime.manifest.checksums:
        console.print("\nThe manifest has no checksums, so damaged files go unnoticed.")
        click.echo(f"To add them: lacuna check --write-checksums {folder}")
    served = describe_serving(report, runtime.manifest)
    if lost:
        served = f"Not served in bfloat16: it keeps more in float32: {', '.join(lost)}."
    console.print(f"\n{served}")
    if not report.holds:
        raise SystemExit(1)
    if not loaded.can_skip:
        console.print("Without the signatures strips and strips_labels, gaps cost more.")
    if not runtime.can_keep:
        console.print(_WITHOUT_TILES[runtime.model_format])


def _check_place(folder: Path) -> None:
    fault = explain_version(folder, str(folder))
    if fault and not folder.exists():
        raise click.BadParameter(fault, param_hint="DIR")
    if fault:
        raise InvalidGraphError(fault)


def _print_checks(console: Console, report: ContractReport) -> None:
    table = Table("part of the contract", "", "measured", box=None, pad_edge=False)
    for part in report.checks:
        table.add_row(
            part.name, "[green]holds[/]" if part.passed else "[red]broken[/]", part.detail
        )
    console.print(table)


def _print_agreement(
    console: Console, folder: Path, runtime: Runtime, reference: Runtime, *, writes_scores: bool
) -> None:
    """Compare a precision with float32; print what differs, and write it if that is wanted."""
    from service.runtime.precision import (  # noqa: PLC0415
        compare_precisions,
        has_bfloat16_instructions,
        write_agreement,
    )
    from service.runtime.samples import read_samples  # noqa: PLC0415

    samples = read_samples(folder, reference.manifest)
    agreement = compare_precisions(runtime, reference, samples)
    console.print()
    for found in agreement:
        console.print(found.summary, soft_wrap=True)
    if not has_bfloat16_instructions():
        console.print("This CPU has no instructions for bfloat16, so it will not help here.")
    if writes_scores:
        write_agreement(folder, "bfloat16", agreement)
