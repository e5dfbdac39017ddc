"""`lacuna-model evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from lacuna.cli.keys import read_key, take_key
from model.cli.compare import compare_runs, count_flips_on_mosaics
from model.cli.evaluate_data import evaluate_on_data
from model.cli.evaluate_folds import are_folds, evaluate_folds
from model.cli.folder_runs import count_flips_on_folder, open_run, score_on_folder
from model.cli.loading import RUN, LoadedRun, load_run, read_recorded
from model.cli.printing import print_flips, print_folder_scores, print_notes, print_scores
from model.cli.progress import make_progress


@click.command()
@click.argument("runs", metavar="RUN...|FOLDS...|MODEL|URL", nargs=-1, required=True)
@click.option(
    "--data",
    metavar="DIR",
    type=RUN,
    help="Score an exported MODEL, or the model of a server at URL, on this folder of images.",
)
@click.option(
    "--part",
    type=click.Choice(("all", "training", "validation", "test")),
    default="all",
    show_default=True,
    help="With --data: the images to score.",
)
@click.option("--model", "name", help="With --data and URL: the model of the server.")
@take_key
@click.option(
    "--output",
    metavar="FILE.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --data or FOLDS: file for the scores.",
)
@click.option(
    "--missing",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    help="To compare: a fraction of pixels to take out, besides 0; may be repeated. "
    "0.1, 0.2, 0.4, 0.6 and 0.8 by default.",
)
@click.option(
    "--curves",
    metavar="FILE.svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compare at more fractions, for each pattern, and plot; the numbers go to FILE.json.",
)
@click.pass_context
def evaluate(
    context: click.Context,
    runs: Sequence[str],
    data: Path | None,
    part: str,
    name: str | None,
    api_key: str | None,
    api_key_file: IO[str] | None,
    output: Path | None,
    missing: Sequence[float],
    curves: Path | None,
) -> None:
    """Score the network in RUN, a folder that `train` wrote, on data held out from training.

    For a preset, that is mosaics of other textures; for a folder of images, its validation images.

    Prints the intersection over union of each class, and their mean, at increasing fractions of
    missing pixels, and writes them to RUN for `export`. Also prints the number of labels that
    change when images are padded.

    With several RUNs, or --curves: compares trainings of a preset, or of the same images, by their
    mean IoU at 0 to 80 % missing pixels, or at 0 and the fractions of --missing, for each pattern
    of missing pixels. Runs that differ only in their seed are averaged.

    With FOLDS, folders that `train --folds` wrote: compares their scores for each fold. Those that
    differ only in their seed are averaged.

    With --data: scores one exported MODEL, REPOSITORY/NAME/VERSION, or a server's at URL, on the
    labelled images of DIR, whose classes must have the same names.
    """
    if data is not None:
        if len(runs) > 1 or curves is not None or missing:
            raise click.UsageError("--data scores one model, without --curves and --missing")
        evaluate_on_data(runs[0], data, part, name, read_key(api_key, api_key_file), output)
        return
    if part != "all" or name is not None or api_key is not None or api_key_file is not None:
        raise click.UsageError("--part, --model, --api-key and --api-key-file need --data")
    folders = [RUN.convert(run, None, context) for run in runs]
    if are_folds(folders):
        if curves is not None or missing:
            raise click.UsageError(
                "--curves and --missing are for runs, such as those in a folder of folds"
            )
        evaluate_folds(folders, output)
        return
    if output is not None:
        raise click.UsageError("--output needs --data, or folders of folds")
    if curves is not None and curves.suffix != ".svg":
        raise click.BadParameter(f"--curves must end in .svg; it is {curves}")
    if curves is not None or len(runs) > 1:
        compare_runs(folders, missing, curves)
    elif missing:
        raise click.UsageError("--missing needs several RUNs, or --curves")
    else:
        _evaluate(folders[0])


def _evaluate(folder: Path) -> None:
    run = load_run(folder)
    if "dataset" in run.record:
        _evaluate_on_folder(run)
        return
    from model.data.textures import CLASSES  # noqa: PLC0415
    from model.scoring.mosaics import (  # noqa: PLC0415
        SCORED_DATA,
        EvaluationConfig,
        count_batches,
        score_on_mosaics,
    )
    from model.scoring.scores import describe_scores, write_scores  # noqa: PLC0415

    config, names = EvaluationConfig(), [texture.name for texture in CLASSES]
    with make_progress() as progress:
        task = progress.add_task("evaluating", total=count_batches(config))
        scores = score_on_mosaics(run.network, config, on_batch=lambda: progress.advance(task))
    write_scores(folder, describe_scores(scores, names, SCORED_DATA))
    print_scores(scores, names)
    print_flips(count_flips_on_mosaics(run.network))


def _evaluate_on_folder(run: LoadedRun) -> None:
    dataset = read_recorded(run.record)
    print_notes(dataset)
    found, _ = score_on_folder(dataset, run)
    print_folder_scores(found, [entry["name"] for entry in run.record["dataset"]["classes"]])
    print_flips(count_flips_on_folder(dataset, open_run(run)))
