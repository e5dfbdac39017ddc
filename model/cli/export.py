"""`lacuna-model export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.loading import RUN, LoadedRun, load_run
from model.cli.writing import check_output, writing

if TYPE_CHECKING:
    import keras

    from model.export import Format
    from model.network import NetworkConfig
    from model.training.converted import ConvertedConfig


@click.command()
@click.argument("run", type=RUN)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("saved_model", "onnx")),
    default="saved_model",
    show_default=True,
    help="What to write: a SavedModel for TensorFlow, or model.onnx for ONNX Runtime.",
)
def export(run: Path, output: Path, file_format: Format) -> None:
    """Export the network in RUN into OUTPUT, <repository>/<model>/<version>.

    An existing OUTPUT is replaced once the new one is complete. `lacuna check OUTPUT` checks the
    result.
    """
    check_output(output)
    export_run(load_run(run), output, file_format)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    click.echo(f"{output}: exported, {size / 1e6:.1f} MB; check it with: lacuna check {output}")


def export_run(run: LoadedRun, output: Path, file_format: Format = "saved_model") -> None:
    """Export a run's network with its manifest."""
    from model.export import build_manifest  # noqa: PLC0415
    from model.scoring.scores import read_scores  # noqa: PLC0415
    from model.training.runs import (  # noqa: PLC0415
        describe_training,
        is_baseline,
        read_network_config,
    )

    record = run.record
    if is_baseline(record):
        raise click.ClickException(
            f"{run.folder} holds a baseline network, which is for comparison only: its labels "
            "depend on the canvas. Only masked networks can be served"
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
        scores=read_scores(run.folder),
    )
    with writing(output):
        _write(run.network, config, manifest, output, file_format)


def _write(
    network: keras.Model,
    config: NetworkConfig | ConvertedConfig,
    manifest: Mapping[str, Any],
    output: Path,
    file_format: Format,
) -> None:
    from model.export import export_network  # noqa: PLC0415
    from model.training.converted import ConvertedConfig  # noqa: PLC0415

    if not isinstance(config, ConvertedConfig):
        temperature = manifest["scores"].get("temperature", 1.0)
        export_network(network, config, manifest, output, file_format, temperature)
        return
    if file_format == "onnx":
        raise ValueError("--format onnx is for networks that were built here, not converted ones")
    from model.adopt.tuning import export_trained  # noqa: PLC0415

    export_trained(network, manifest, output)


def _describe_classes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "dataset" in record:
        classes = record["dataset"]["classes"]
        return [
            {"id": index, "name": entry["name"], "color": entry["color"]}
            for index, entry in enumerate(classes)
        ]
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.export import describe_classes  # noqa: PLC0415

    return describe_classes(
        [texture.name for texture in CLASSES], [texture.color for texture in CLASSES]
    )
