"""Comparison of trainings by their curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from model.cli.folder_runs import count_flips_on_folder, open_run
from model.cli.loading import LoadedRun, load_run, read_recorded
from model.cli.printing import print_comparison, print_notes
from model.cli.progress import make_progress

if TYPE_CHECKING:
    import keras

    from model.comparison.groups import RunGroup, ScoredRun
    from model.scoring.flips import Flips


def compare_runs(runs: Sequence[Path], missing: Sequence[float], curves: Path | None) -> None:
    """Compare runs, print the result, and plot it.

    Args:
        runs: all of a preset, or all of the same images.
        missing: fractions of missing pixels to score besides 0; empty for the default ones.
        curves: SVG file for the plot, beside which a JSON file has the numbers; None for neither.
    """
    loaded = [load_run(run) for run in runs]
    from model.comparison.curves import FRACTIONS  # noqa: PLC0415
    from model.comparison.groups import check_comparable, group_runs  # noqa: PLC0415

    fractions = tuple(sorted({0.0, *missing})) if missing else FRACTIONS
    records = [run.record for run in loaded]
    try:
        check_comparable(records)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    is_folder = "dataset" in records[0]
    measure = _measure_on_folder if is_folder else _measure_on_mosaics
    data, measured = measure(loaded, fractions)
    groups = group_runs(measured, fractions)
    print_comparison(groups)
    if curves is not None:
        _write(groups, data, curves)


def _measure_on_mosaics(
    loaded: Sequence[LoadedRun], fractions: Sequence[float]
) -> tuple[str, list[ScoredRun]]:
    """Return a description of the mosaics, and the scores of all runs."""
    from model.comparison.curves import count_curve_batches, measure_curves  # noqa: PLC0415
    from model.comparison.groups import ScoredRun  # noqa: PLC0415
    from model.scoring.mosaics import SCORED_DATA, EvaluationConfig  # noqa: PLC0415

    config = EvaluationConfig()
    with make_progress() as progress:
        total = len(loaded) * count_curve_batches(config, fractions)
        task = progress.add_task("evaluating", total=total)
        return SCORED_DATA, [
            ScoredRun(
                run.record["config"],
                measure_curves(
                    run.network, config, fractions, on_batch=lambda: progress.advance(task)
                ),
                count_flips_on_mosaics(run.network),
            )
            for run in loaded
        ]


def _measure_on_folder(
    loaded: Sequence[LoadedRun], fractions: Sequence[float]
) -> tuple[str, list[ScoredRun]]:
    """Return a description of the images, and the scores of all runs."""
    from model.comparison.folder_curves import (  # noqa: PLC0415
        count_curve_images,
        describe_scored,
        measure_folder_curves,
    )
    from model.comparison.groups import ScoredRun  # noqa: PLC0415

    dataset = read_recorded(loaded[0].record)
    print_notes(dataset)
    predictors = [open_run(run) for run in loaded]
    halo = max(predictor.halo for predictor in predictors)
    with make_progress() as progress:
        total = len(loaded) * count_curve_images(dataset, fractions)
        task = progress.add_task("evaluating", total=total)
        return describe_scored(dataset), [
            ScoredRun(
                run.record["config"],
                measure_folder_curves(
                    predictor, dataset, halo, fractions, on_image=lambda: progress.advance(task)
                ),
                count_flips_on_folder(dataset, predictor),
            )
            for predictor, run in zip(predictors, loaded, strict=True)
        ]


def count_flips_on_mosaics(network: keras.Model) -> Flips:
    """Count the labels that change when mosaics are padded."""
    from model.scoring.flips import count_flips, draw_test_mosaics, label_with  # noqa: PLC0415

    scenes = ((mosaic.image, mosaic.mask) for mosaic in draw_test_mosaics())
    return count_flips(label_with(network), scenes)


def _write(groups: Sequence[RunGroup], data: str, curves: Path) -> None:
    from model.comparison.groups import describe_comparison  # noqa: PLC0415
    from model.report.panels import draw_panels  # noqa: PLC0415

    curves.parent.mkdir(parents=True, exist_ok=True)
    curves.write_text(draw_panels(groups), encoding="utf-8")
    numbers = curves.with_suffix(".json")
    numbers.write_text(json.dumps(describe_comparison(groups, data), indent=2) + "\n")
    click.echo(f"\n{curves}, and {numbers} with the numbers")
