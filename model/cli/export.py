"""`lacuna-model export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from model.cli.loading import RUN, load_run


@click.command()
@click.argument("run", type=RUN)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
def export(run: Path, output: Path) -> None:
    """Export the network in RUN as a SavedModel into OUTPUT, <repository>/<model>/<version>.

    An existing OUTPUT is replaced once the new one is complete. `lacuna check OUTPUT` checks the
    result.
    """
    if not output.name.isdigit():
        raise click.BadParameter(
            f"OUTPUT must end in a version, which is a number; it ends in {output.name}"
        )
    export_run(run, output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    click.echo(f"{output}: exported, {size / 1e6:.1f} MB; check it with: lacuna check {output}")


def export_run(run: Path, output: Path) -> None:
    """Export a run's network with its manifest."""
    network, record = load_run(run)
    from model.export import build_manifest, export_network  # noqa: PLC0415
    from model.scoring.scores import read_scores  # noqa: PLC0415
    from model.training.runs import describe_training, read_network_config  # noqa: PLC0415

    if record["config"].get("twin"):
        raise click.ClickException(
            f"{run} holds a baseline network, which is for comparison only: its labels depend on "
            "the canvas. Only masked networks can be served"
        )
    config = read_network_config(record)
    manifest = build_manifest(
        name=record["config"]["name"],
        description=record["config"]["description"],
        config=config,
        classes=_describe_classes(record),
        image_dtype=record.get("dataset", {}).get("dtype", "uint8"),
        bands=record.get("dataset", {}).get("band_names", ()),
        statistics=record.get("statistics"),
        training=describe_training(record),
        scores=read_scores(run),
    )
    export_network(network, config, manifest, output)


def _describe_classes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "dataset" in record:
        classes = record["dataset"]["classes"]
        return [{"id": index, **entry} for index, entry in enumerate(classes)]
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.export import describe_classes  # noqa: PLC0415

    return describe_classes(
        [texture.name for texture in CLASSES], [texture.color for texture in CLASSES]
    )
