"""The command line: `lacuna-model train | evaluate | export | samples`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    import keras

# TensorFlow and all that needs it are imported by the commands, so that --help answers at once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_RUN = click.Path(exists=True, file_okay=False, path_type=Path)


class _Commands(click.Group):
    """Tells what people can mend in one line; all else surfaces with its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("model"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed; pip install 'lacuna[train]' brings it"
            ) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="lacuna")
def main() -> None:
    """Train masked segmentation networks, score them, and export them for `lacuna serve`.

    \b
    lacuna-model train --preset groundcover --output runs/groundcover
    lacuna-model evaluate runs/groundcover
    lacuna-model export runs/groundcover models/groundcover/1
    lacuna serve --model-repository models
    """


@main.command()
@click.option("--preset", default="groundcover", show_default=True, help="What to train.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the network and the record of its training.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Batches.  [default: the preset's]")
@click.option("--seed", type=int, help="Of weights and data.  [default: the preset's]")
def train(preset: str, output: Path, steps: int | None, seed: int | None) -> None:
    """Train a network on mosaics of textures that are drawn while it trains.

    The same preset, seed and number of steps draw the same data. The demo takes about ten minutes
    on two cores.
    """
    from model.train import PRESETS  # noqa: PLC0415
    from model.train import train as run  # noqa: PLC0415

    if preset not in PRESETS:
        raise click.BadParameter(f"must be one of {', '.join(PRESETS)}; it is {preset}")
    config = PRESETS[preset]
    config = dataclasses.replace(
        config,
        steps=config.steps if steps is None else steps,
        seed=config.seed if seed is None else seed,
    )
    with _make_progress("loss {task.fields[loss]:.3f}", "IoU {task.fields[iou]:.3f}") as progress:
        run(config, output, [_make_callback(progress, config.steps)])
    click.echo(f"{output}: trained; score it with: lacuna-model evaluate {output}")


@main.command()
@click.argument("run", type=_RUN)
def evaluate(run: Path) -> None:
    """Score the network in RUN, a folder that `train` wrote, on textures it never saw.

    Prints the intersection over union of each class, and their mean, with more and more pixels
    missing, and keeps them in RUN for `export`.
    """
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.evaluate import EvaluationConfig, count_batches, write_scores  # noqa: PLC0415
    from model.evaluate import evaluate as score  # noqa: PLC0415

    network, _ = _load_run(run)
    config = EvaluationConfig()
    with _make_progress() as progress:
        task = progress.add_task("evaluating", total=count_batches(config))
        scores = score(network, config, on_batch=lambda: progress.advance(task))
    write_scores(scores, run)
    table = Table("missing", *(texture.name for texture in CLASSES), "mean IoU", box=None)
    for entry in scores:
        values = [f"{value:.3f}" for value in (*entry.class_iou, entry.mean_iou)]
        table.add_row(f"{entry.missing:.0%}", *values)
    Console().print(table)


@main.command()
@click.argument("run", type=_RUN)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
def export(run: Path, output: Path) -> None:
    """Export the network in RUN as a SavedModel into OUTPUT, <repository>/<model>/<version>.

    An OUTPUT that is there is replaced once the new one is complete. Hold the result to its
    promise with `lacuna check OUTPUT`.
    """
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.evaluate import read_scores  # noqa: PLC0415
    from model.export import build_manifest, describe_classes, export_network  # noqa: PLC0415
    from model.train import describe_training, read_network_config  # noqa: PLC0415

    if not output.name.isdigit():
        raise click.BadParameter(
            f"OUTPUT must end in a version, which is digits; it ends in {output.name}"
        )
    network, record = _load_run(run)
    config = read_network_config(record)
    manifest = build_manifest(
        name=record["config"]["name"],
        description=record["config"]["description"],
        config=config,
        classes=describe_classes(
            [texture.name for texture in CLASSES], [texture.color for texture in CLASSES]
        ),
        training=describe_training(record),
        scores=read_scores(run),
    )
    export_network(network, config, manifest, output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    click.echo(f"{output}: exported, {size / 1e6:.1f} MB; check it with: lacuna check {output}")


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def samples(folder: Path) -> None:
    """Write sample images and masks, of textures that the demo never saw, into FOLDER."""
    from model.data.samples import write_samples  # noqa: PLC0415

    for path in write_samples(folder):
        click.echo(path)


def _load_run(run: Path) -> tuple[keras.Model, dict[str, Any]]:
    from model.train import load_run  # noqa: PLC0415

    try:
        return load_run(run)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _make_progress(*columns: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def _make_callback(progress: Progress, steps: int) -> keras.callbacks.Callback:
    import keras  # noqa: PLC0415

    task = progress.add_task("training", total=steps, loss=float("nan"), iou=float("nan"))

    def advance(_: int, logs: Mapping[str, Any]) -> None:
        progress.update(task, advance=1, loss=float(logs["loss"]), iou=float(logs["mean_iou"]))

    return keras.callbacks.LambdaCallback(on_train_batch_end=advance)
