"""`lacuna-model evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.evaluate_data import evaluate_on_data
from model.cli.folder_runs import count_flips_on_folder, score_on_folder
from model.cli.loading import RUN, load_run, read_dataset
from model.cli.printing import (
    print_comparison,
    print_flips,
    print_folder_scores,
    print_notes,
    print_scores,
)
from model.cli.progress import make_progress

if TYPE_CHECKING:
    import keras

    from model.comparison.groups import RunGroup
    from model.scoring.flips import Flips


@click.command()
@click.argument("runs", metavar="RUN...|MODEL|URL", nargs=-1, required=True)
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
@click.option(
    "--output",
    metavar="FILE.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --data: file for the scores.",
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
    output: Path | None,
    curves: Path | None,
) -> None:
    """Score the network in RUN, a folder that `train` wrote, on data held out from training.

    For a preset, that is mosaics of other textures; for a folder of images, its validation images.

    Prints the intersection over union of each class, and their mean, at increasing fractions of
    missing pixels, and writes them to RUN for `export`. Also prints the number of labels that
    change when images are padded.

    With several RUNs, or --curves: compares trainings of a preset, by their mean IoU at 0 to 80 %
    missing pixels for each pattern of missing pixels. Runs that differ only in their seed are
    averaged.

    With --data: scores one exported MODEL, REPOSITORY/NAME/VERSION, or a server's at URL, on the
    labelled images of DIR, whose classes must have the same names.
    """
    if data is not None:
        if len(runs) > 1 or curves is not None:
            raise click.UsageError("--data scores one model, without --curves")
        evaluate_on_data(runs[0], data, part, name, output)
        return
    if part != "all" or name is not None or output is not None:
        raise click.UsageError("--part, --model and --output need --data")
    folders = [RUN.convert(run, None, context) for run in runs]
    if curves is not None and curves.suffix != ".svg":
        raise click.BadParameter(f"--curves must end in .svg; it is {curves}")
    if curves is not None or len(runs) > 1:
        _compare(folders, curves)
    else:
        _evaluate(folders[0])


def _evaluate(run: Path) -> None:
    network, record = load_run(run)
    if "dataset" in record:
        _evaluate_on_folder(run, record)
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
        scores = score_on_mosaics(network, config, on_batch=lambda: progress.advance(task))
    write_scores(run, describe_scores(scores, names, SCORED_DATA))
    print_scores(scores, names)
    print_flips(_count_flips(network))


def _evaluate_on_folder(run: Path, record: Mapping[str, Any]) -> None:
    source = record["dataset"]
    dataset = read_dataset(Path(source["folder"]), source.get("fold", ""))
    print_notes(dataset)
    found, _ = score_on_folder(dataset, run)
    print_folder_scores(found, [entry["name"] for entry in record["dataset"]["classes"]])
    print_flips(count_flips_on_folder(dataset, run))


def _compare(runs: Sequence[Path], curves: Path | None) -> None:
    loaded = [load_run(run) for run in runs]
    from model.comparison.curves import count_curve_batches, measure_curves  # noqa: PLC0415
    from model.comparison.groups import ScoredRun, check_comparable, group_runs  # noqa: PLC0415
    from model.scoring.mosaics import EvaluationConfig  # noqa: PLC0415

    try:
        check_comparable([record for _, record in loaded])
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    config = EvaluationConfig()
    with make_progress() as progress:
        task = progress.add_task("evaluating", total=len(runs) * count_curve_batches(config))
        measured = [
            ScoredRun(
                record["config"],
                measure_curves(network, config, on_batch=lambda: progress.advance(task)),
                _count_flips(network),
            )
            for network, record in loaded
        ]
    groups = group_runs(measured)
    print_comparison(groups)
    if curves is not None:
        _write(groups, curves)


def _count_flips(network: keras.Model) -> Flips:
    from model.scoring.flips import count_flips, draw_test_mosaics, label_with  # noqa: PLC0415

    scenes = ((mosaic.image, mosaic.mask) for mosaic in draw_test_mosaics())
    return count_flips(label_with(network), scenes)


def _write(groups: Sequence[RunGroup], curves: Path) -> None:
    from model.comparison.groups import describe_comparison  # noqa: PLC0415
    from model.report.panels import draw_panels  # noqa: PLC0415

    curves.parent.mkdir(parents=True, exist_ok=True)
    curves.write_text(draw_panels(groups), encoding="utf-8")
    numbers = curves.with_suffix(".json")
    numbers.write_text(json.dumps(describe_comparison(groups), indent=2) + "\n")
    click.echo(f"\n{curves}, and {numbers} with the numbers")
