"""Steps of the commands for trainings on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.checking import check_contract
from model.cli.export import export_run
from model.cli.loading import LoadedRun, load_run
from model.cli.printing import print_folder_scores
from model.cli.progress import make_progress, show_training

if TYPE_CHECKING:
    from model.data.dataset import Dataset
    from model.scoring.flips import Flips
    from model.scoring.folders import FolderScores
    from model.scoring.images import AnyPredictor
    from model.scoring.prediction import Predictor
    from model.training.folders import FolderTrainingConfig
    from model.training.starting import Start

_VERSION = "1"
_REPORT_FILE = "report.html"
_CANVASES = 100


def train_on_folder(
    config: FolderTrainingConfig, dataset: Dataset, output: Path, start: Start | None = None
) -> None:
    """Train a network, from new weights or a start, then score, export and report it.

    A baseline network is not exported.
    """
    from model.training.folders import train_on_folder as train  # noqa: PLC0415

    with show_training(config.steps, "best IoU") as on_step:
        train(config, dataset, output, on_step, start)
    _finish(dataset, load_run(output))


def _finish(dataset: Dataset, run: LoadedRun) -> None:
    """Score, export and report the trained network."""
    from model.atomic import replace_file  # noqa: PLC0415
    from model.report.page import RunReport, render_report  # noqa: PLC0415
    from model.training.runs import is_baseline  # noqa: PLC0415

    found, examples = score_on_folder(dataset, run)
    folder, record = run.folder, run.record
    model = None if is_baseline(record) else folder / "model" / dataset.description.name / _VERSION
    commands = [f"lacuna-model evaluate {folder}"]
    if model is not None:
        export_run(run, model)
        commands = [f"lacuna check {model}", f"lacuna serve --model-repository {model.parents[1]}"]
    page = render_report(RunReport(dataset, record, found, examples, commands))
    replace_file(folder / _REPORT_FILE, page.encode())
    print_folder_scores(found, [entry.name for entry in dataset.description.classes])
    click.echo(f"{folder / _REPORT_FILE}: the report")
    if model is None:
        click.echo(f"{folder}: a baseline network, for comparison only; it is not exported")
        return
    click.echo(f"{model}: exported. `lacuna check {model}` says:")
    click.echo(check_contract(model))
    click.echo(f"Serve it with: {commands[-1]}")


def score_on_folder(dataset: Dataset, run: LoadedRun) -> tuple[FolderScores, list[Any]]:
    """Score a run on its folder's images for that, write the scores, and choose examples."""
    from model.data.batches import SampleReader  # noqa: PLC0415
    from model.data.views import list_views  # noqa: PLC0415
    from model.network import NetworkConfig  # noqa: PLC0415
    from model.report.examples import choose_examples  # noqa: PLC0415
    from model.report.trust import NOT_TEMPERED  # noqa: PLC0415
    from model.scoring.folders import describe_folder_scores  # noqa: PLC0415
    from model.scoring.scores import write_scores  # noqa: PLC0415
    from model.training.runs import is_baseline, read_network_config  # noqa: PLC0415

    predictor = open_run(run)
    temperature = None
    if not isinstance(read_network_config(run.record), NetworkConfig):
        click.echo(f"note: {NOT_TEMPERED}", err=True)
    elif not is_baseline(run.record):
        temperature = _fit_temperature(predictor, dataset)
    found = score_with_progress(predictor, dataset, temperature=temperature)
    write_scores(run.folder, describe_folder_scores(found, dataset))
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_views(dataset.scored, dataset.scenes)
    return found, choose_examples(predictor, views, found.scores[0].parts, reader)


def open_run(run: LoadedRun) -> Predictor:
    """Return the predictor of a run's network."""
    from model.scoring.prediction import Predictor  # noqa: PLC0415
    from model.training.runs import read_network_config  # noqa: PLC0415

    return Predictor(run.network, read_network_config(run.record))


def _fit_temperature(predictor: AnyPredictor, dataset: Dataset) -> float:
    """Fit the temperature of a network, and show how far this has come."""
    from model.scoring.temperature import fit_to_validation, list_validation  # noqa: PLC0415

    with make_progress() as progress:
        task = progress.add_task("calibrating", total=len(list_validation(dataset)))
        return fit_to_validation(predictor, dataset, lambda: progress.advance(task))


def score_with_progress(
    predictor: AnyPredictor,
    dataset: Dataset,
    *,
    with_baseline: bool = True,
    temperature: float | None = None,
) -> FolderScores:
    """Score a segmenter on a folder of images, and show how far it has come."""
    from model.scoring.folders import count_images, score_folder  # noqa: PLC0415

    with make_progress() as progress:
        total = count_images(dataset, with_baseline=with_baseline)
        task = progress.add_task("scoring", total=total)
        return score_folder(
            predictor,
            dataset,
            with_baseline=with_baseline,
            temperature=temperature,
            on_image=lambda: progress.advance(task),
        )


def count_flips_on_folder(dataset: Dataset, predictor: AnyPredictor) -> Flips:
    """Count the labels that change when scored images, at most a hundred, are padded."""
    import numpy as np  # noqa: PLC0415

    from model.data.batches import SampleReader  # noqa: PLC0415
    from model.data.labelled import LabelledSample  # noqa: PLC0415
    from model.data.views import FEW_WINDOWS, list_views  # noqa: PLC0415
    from model.scoring.flips import count_flips  # noqa: PLC0415

    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    views = list_views(dataset.scored, dataset.scenes, FEW_WINDOWS)[:_CANVASES]

    def label(image: Any, mask: Any) -> Any:
        labels = np.zeros(mask.shape, np.uint8)  # not used
        return predictor.predict(LabelledSample(image, mask, labels)).argmax(axis=-1)

    samples = (reader.read_view(view, predictor.halo) for view in views)
    return count_flips(label, ((sample.image, sample.mask) for sample in samples))
