"""Steps of the commands for trainings on a folder of images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.export import export_run
from model.cli.loading import load_run
from model.cli.printing import print_scores
from model.cli.progress import make_progress, show_training

if TYPE_CHECKING:
    from model.data.folders import Dataset
    from model.scoring.flips import Flips
    from model.scoring.scores import Score
    from model.training.folders import FolderTrainingConfig

_VERSION = "1"
_REPORT_FILE = "report.html"
_CANVASES = 100


def train_on_folder(config: FolderTrainingConfig, dataset: Dataset, output: Path) -> None:
    """Train a network, then score, export and report it."""
    from model.training.folders import train_on_folder as train  # noqa: PLC0415

    with show_training(config.steps, "best IoU") as on_step:
        train(config, dataset, output, on_step)
    _finish(dataset, output)


def _finish(dataset: Dataset, run: Path) -> None:
    """Score, export and report the trained network."""
    from model.atomic import replace_file  # noqa: PLC0415
    from model.report.page import RunReport, render_report  # noqa: PLC0415

    scores, examples = score_on_folder(dataset, run)
    model = run / "model" / dataset.description.name / _VERSION
    export_run(run, model)
    commands = (f"lacuna check {model}", f"lacuna serve --model-repository {model.parents[1]}")
    _, record = load_run(run)
    page = render_report(RunReport(dataset, record, scores, examples, commands))
    replace_file(run / _REPORT_FILE, page.encode())
    print_scores(scores, [entry.name for entry in dataset.description.classes])
    click.echo(f"{run / _REPORT_FILE}: the report")
    click.echo(f"{model}: exported. `lacuna check {model}` says:")
    click.echo(check_contract(model))
    click.echo(f"Serve it with: {commands[-1]}")


def check_contract(model: Path) -> str:
    """Check the contract of an exported model, as `lacuna check` and every server do.

    Runs the server's code in a process of its own, because this package does not import it.

    Args:
        model: `<repository>/<model>/<version>`.

    Returns:
        The output of the check.
    """
    lacuna = Path(sys.executable).with_name("lacuna")
    done = subprocess.run(  # noqa: S603 (our own program and folder)
        [lacuna, "check", model], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


def score_on_folder(dataset: Dataset, run: Path) -> tuple[list[Score], list[Any]]:
    """Score a run on its folder's validation images, write the scores, and choose examples."""
    network, record = load_run(run)
    from model.data.batches import SampleReader  # noqa: PLC0415
    from model.data.views import FEW_WINDOWS, list_views  # noqa: PLC0415
    from model.report.examples import choose_examples  # noqa: PLC0415
    from model.scoring.images import SCORED_DATA, score_images  # noqa: PLC0415
    from model.scoring.prediction import Predictor  # noqa: PLC0415
    from model.scoring.scores import (  # noqa: PLC0415
        MISSING_FRACTIONS,
        describe_scores,
        write_scores,
    )
    from model.training.runs import read_network_config  # noqa: PLC0415

    predictor = Predictor(network, read_network_config(record))
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_views(dataset.validation, dataset.scenes)
    with make_progress() as progress:
        task = progress.add_task("scoring", total=len(views) * len(MISSING_FRACTIONS))
        scores = [
            score_images(
                predictor,
                (reader.read_view(view, predictor.halo) for view in views),
                fraction,
                on_image=lambda: progress.advance(task),
            )
            for fraction in MISSING_FRACTIONS
        ]
    names = [entry.name for entry in dataset.description.classes]
    write_scores(run, describe_scores(scores, names, SCORED_DATA))
    few = list_views(dataset.validation, dataset.scenes, FEW_WINDOWS)
    return scores, choose_examples(predictor, few, reader)


def count_flips_on_folder(dataset: Dataset, run: Path) -> Flips:
    """Count the labels that change when validation images, at most a hundred, are padded."""
    network, record = load_run(run)
    import numpy as np  # noqa: PLC0415

    from model.data.batches import SampleReader  # noqa: PLC0415
    from model.data.labelled import LabelledSample  # noqa: PLC0415
    from model.data.views import FEW_WINDOWS, list_views  # noqa: PLC0415
    from model.scoring.flips import count_flips  # noqa: PLC0415
    from model.scoring.prediction import Predictor  # noqa: PLC0415
    from model.training.runs import read_network_config  # noqa: PLC0415

    predictor = Predictor(network, read_network_config(record))
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_views(dataset.validation, dataset.scenes, FEW_WINDOWS)[:_CANVASES]

    def label(image: Any, mask: Any) -> Any:
        labels = np.zeros(mask.shape, np.uint8)  # not used
        return predictor.predict(LabelledSample(image, mask, labels)).argmax(axis=-1)

    samples = (reader.read_view(view, predictor.halo) for view in views)
    return count_flips(label, ((sample.image, sample.mask) for sample in samples))
