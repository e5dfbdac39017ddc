"""The command line: `lacuna-model validate | train | evaluate | export | samples`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
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

    from model.data.folders import Dataset
    from model.folder_training import FolderTrainingConfig
    from model.scoring import Result

# TensorFlow and all that needs it are imported by the commands, so that --help answers at once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_RUN = click.Path(exists=True, file_okay=False, path_type=Path)
_VERSION = "1"
_REPORT_FILE = "report.html"


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
    lacuna-model train --data fields --output runs/fields
    lacuna serve --model-repository runs/fields/model

    \b
    lacuna-model train --preset groundcover --output runs/groundcover
    lacuna-model evaluate runs/groundcover
    lacuna-model export runs/groundcover models/groundcover/1
    lacuna serve --model-repository models
    """


@main.command()
@click.argument("folder", metavar="DIR", type=_RUN)
def validate(folder: Path) -> None:
    """Check a folder of images to train on, and tell all that is wrong with it.

    \b
    DIR/dataset.toml       names the model and its classes
    DIR/images/NAME.ext    PNG, JPEG, TIFF or NPY
    DIR/labels/NAME.ext    class ids, PNG, TIFF or NPY; 255 = unknown
    DIR/masks/NAME.ext     optional; non-zero = valid

    The exit status is 0 if it can be trained on, else 1.
    """
    _print_dataset(_read_dataset(folder))


@main.command()
@click.option(
    "--data", metavar="DIR", type=_RUN, help="Folder of images to train on; see validate."
)
@click.option("--preset", default="groundcover", show_default=True, help="What else to train.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the network and the record of its training.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Batches, at most.  [2000; the preset's]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Crops in it.  [8; the preset's]")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="At its peak.  [0.002; the preset's]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of weights and data.  [0; the preset's]")
@click.option("--crop", type=click.IntRange(min=8), help="Side in pixels.  [256]")
@click.option(
    "--validate-every",
    type=click.IntRange(min=1),
    help="Steps between scores and checkpoints.  [100]",
)
@click.option(
    "--patience", type=click.IntRange(min=1), help="Scores without a better one to stop at.  [10]"
)
@click.option("--network", help="Its shape: default, small, residual or separable.  [default]")
@click.pass_context
def train(
    context: click.Context,
    /,
    data: Path | None,
    preset: str,
    output: Path,
    crop: int | None,
    **given: Any,
) -> None:
    """Train a network on a folder of images, or on mosaics of textures.

    With --data: DIR is checked whole first. Afterwards OUTPUT holds model/NAME/1 for
    `lacuna serve`, report.html, scores.json, and logs/ for TensorBoard. The same command goes on
    where it was stopped, however it was.

    With --preset: textures are drawn while the network trains. The same preset, seed and number of
    steps draw the same. The demo takes about ten minutes on two cores, and goes on likewise.
    """
    options = {name: value for name, value in given.items() if value is not None}
    if data is None:
        needless = [
            name
            for name in ("crop", "validate_every", "patience", "network")
            if context.params[name]
        ]
        if needless:
            raise click.UsageError(f"--{needless[0].replace('_', '-')} needs --data")
        _train_preset(preset, output, options)
        return
    if context.get_parameter_source("preset") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--data and --preset exclude each other")
    dataset = _read_dataset(data)  # before TensorFlow: what is wrong is told at once
    _print_dataset(dataset)

    from model.data.crops import AugmentationConfig  # noqa: PLC0415
    from model.folder_training import NETWORKS, FolderTrainingConfig  # noqa: PLC0415

    if given["network"] is not None and given["network"] not in NETWORKS:
        raise click.BadParameter(
            f"--network must be one of {', '.join(NETWORKS)}; it is {given['network']}"
        )
    if crop is not None:
        options["augmentation"] = AugmentationConfig(crop=crop)
    _train_on_folder(FolderTrainingConfig(**options), dataset, output)


def _train_preset(preset: str, output: Path, options: Mapping[str, Any]) -> None:
    from model.checkpoints import RunConflictError  # noqa: PLC0415
    from model.train import PRESETS  # noqa: PLC0415
    from model.train import train as run  # noqa: PLC0415

    if preset not in PRESETS:
        raise click.BadParameter(f"must be one of {', '.join(PRESETS)}; it is {preset}")
    config = dataclasses.replace(PRESETS[preset], **options)
    columns = ("loss {task.fields[loss]:.3f}", "IoU {task.fields[iou]:.3f}")
    try:
        with _make_progress(*columns) as progress:
            run(config, output, [_make_callback(progress, config.steps)])
    except RunConflictError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: trained; score it with: lacuna-model evaluate {output}")


def _train_on_folder(config: FolderTrainingConfig, dataset: Dataset, output: Path) -> None:
    from model.checkpoints import RunConflictError  # noqa: PLC0415
    from model.folder_training import train_on_folder  # noqa: PLC0415

    columns = ("loss {task.fields[loss]:.3f}", "best IoU {task.fields[iou]:.3f}")
    try:
        with _make_progress(*columns) as progress:
            task = progress.add_task("training", total=config.steps, loss=float("nan"), iou=0.0)
            train_on_folder(
                config,
                dataset,
                output,
                lambda step, loss, iou: progress.update(task, completed=step, loss=loss, iou=iou),
            )
    except RunConflictError as error:
        raise click.ClickException(str(error)) from error
    _finish(dataset, output)


def _finish(dataset: Dataset, run: Path) -> None:
    """Score, export and report what was trained on a folder."""
    from model.checkpoints import replace_file  # noqa: PLC0415
    from model.report.page import RunReport, render_report  # noqa: PLC0415

    results, examples = _score_on_folder(dataset, run)
    model = run / "model" / dataset.description.name / _VERSION
    _export(run, model)
    commands = (f"lacuna check {model}", f"lacuna serve --model-repository {model.parents[1]}")
    _, record = _load_run(run)
    page = render_report(RunReport(dataset, record, results, examples, commands))
    replace_file(run / _REPORT_FILE, page.encode())
    _print_scores(results, [entry.name for entry in dataset.description.classes])
    click.echo(f"{run / _REPORT_FILE}: the report")
    click.echo(f"{model}: exported; check it and serve it with:")
    for command in commands:
        click.echo(f"  {command}")


def _score_on_folder(dataset: Dataset, run: Path) -> tuple[list[Result], list[Any]]:
    """Score a run on its folder's validation images, keep the scores, and choose examples."""
    from model.checkpoints import replace_file  # noqa: PLC0415
    from model.data.batches import SampleReader  # noqa: PLC0415
    from model.evaluate import SCORES_FILE  # noqa: PLC0415
    from model.report.examples import choose_examples  # noqa: PLC0415
    from model.scoring import (  # noqa: PLC0415
        MISSING_FRACTIONS,
        Predictor,
        describe_results,
        score,
    )
    from model.train import read_network_config  # noqa: PLC0415

    network, record = _load_run(run)
    predictor = Predictor(network, read_network_config(record))
    reader = SampleReader(dataset.description)
    images = dataset.validation
    with _make_progress() as progress:
        task = progress.add_task("scoring", total=len(images) * len(MISSING_FRACTIONS))
        results = [
            score(
                predictor,
                map(reader.read, images),
                fraction,
                on_image=lambda: progress.advance(task),
            )
            for fraction in MISSING_FRACTIONS
        ]
    scores = describe_results(results, [entry.name for entry in dataset.description.classes])
    replace_file(run / SCORES_FILE, (json.dumps(scores, indent=2) + "\n").encode())
    return results, choose_examples(predictor, images, reader)


def _read_dataset(folder: Path) -> Dataset:
    from model.data.folders import DatasetError, read_dataset  # noqa: PLC0415

    try:
        with Console(stderr=True).status(f"checking {folder}"):
            return read_dataset(folder)
    except DatasetError as error:
        raise click.ClickException(str(error)) from error


def _print_dataset(dataset: Dataset) -> None:
    description = dataset.description
    click.echo(
        f"{dataset.folder}: {len(dataset.training)} images to train on, "
        f"{len(dataset.validation)} to validate on; {description.channels} channels of "
        f"{description.dtype}, {dataset.valid_fraction:.1%} valid"
    )
    for note in dataset.notes:
        click.echo(f"note: {note}", err=True)


@main.command()
@click.argument("run", type=_RUN)
def evaluate(run: Path) -> None:
    """Score the network in RUN, a folder that `train` wrote, on what it never learnt from.

    That is textures of its own for a preset, and the validation images for a folder of images.

    Prints the intersection over union of each class, and their mean, with more and more pixels
    missing, and keeps them in RUN for `export`.
    """
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.evaluate import EvaluationConfig, count_batches, write_scores  # noqa: PLC0415
    from model.evaluate import evaluate as score  # noqa: PLC0415

    network, record = _load_run(run)
    if "dataset" in record:
        dataset = _read_dataset(Path(record["dataset"]["folder"]))
        results, _ = _score_on_folder(dataset, run)
        _print_scores(results, [entry["name"] for entry in record["dataset"]["classes"]])
        return
    config = EvaluationConfig()
    with _make_progress() as progress:
        task = progress.add_task("evaluating", total=count_batches(config))
        scores = score(network, config, on_batch=lambda: progress.advance(task))
    write_scores(scores, run)
    _print_scores(scores, [texture.name for texture in CLASSES])


@main.command()
@click.argument("run", type=_RUN)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
def export(run: Path, output: Path) -> None:
    """Export the network in RUN as a SavedModel into OUTPUT, <repository>/<model>/<version>.

    An OUTPUT that is there is replaced once the new one is complete. Hold the result to its
    promise with `lacuna check OUTPUT`.
    """
    if not output.name.isdigit():
        raise click.BadParameter(
            f"OUTPUT must end in a version, which is digits; it ends in {output.name}"
        )
    _export(run, output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    click.echo(f"{output}: exported, {size / 1e6:.1f} MB; check it with: lacuna check {output}")


def _export(run: Path, output: Path) -> None:
    from model.evaluate import read_scores  # noqa: PLC0415
    from model.export import build_manifest, export_network  # noqa: PLC0415
    from model.train import describe_training, read_network_config  # noqa: PLC0415

    network, record = _load_run(run)
    config = read_network_config(record)
    manifest = build_manifest(
        name=record["config"]["name"],
        description=record["config"]["description"],
        config=config,
        classes=_describe_classes(record),
        image_dtype=record.get("dataset", {}).get("dtype", "uint8"),
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


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def samples(folder: Path) -> None:
    """Write sample images and masks, of textures that the demo never saw, into FOLDER."""
    from model.data.samples import write_samples  # noqa: PLC0415

    for path in write_samples(folder):
        click.echo(path)


def _print_scores(scores: Sequence[Any], names: Sequence[str]) -> None:
    table = Table("missing", *names, "mean IoU", box=None)
    for entry in scores:
        values = [f"{value:.3f}" for value in (*entry.class_iou, entry.mean_iou)]
        table.add_row(f"{entry.missing:.0%}", *values)
    Console().print(table)


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
        done = int(callback.model.optimizer.iterations)
        progress.update(task, completed=done, loss=float(logs["loss"]), iou=float(logs["mean_iou"]))

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=advance)
    return callback
