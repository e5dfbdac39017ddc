"""`lacuna-model train`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from model.cli.folder_runs import train_on_folder
from model.cli.loading import RUN, load_tensorflow, read_dataset
from model.cli.printing import print_dataset
from model.cli.progress import show_training

_NEEDS_DATA = ("crop", "validate_every", "patience", "network")


@click.command()
@click.option("--data", metavar="DIR", type=RUN, help="Folder of training images; see validate.")
@click.option(
    "--preset", default="groundcover", show_default=True, help="Preset to train without --data."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the network and the record of its training.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), help="Number of batches, at most.  [2000; the preset's]"
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Crops in a batch.  [8; the preset's]"
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Peak learning rate.  [0.002; the preset's]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of weights and data.  [0; the preset's]"
)
@click.option("--crop", type=click.IntRange(min=8), help="Side of a crop in pixels.  [256]")
@click.option(
    "--validate-every",
    type=click.IntRange(min=1),
    help="Steps between validations, each with a checkpoint.  [100]",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Validations without a better score before stopping.  [10]",
)
@click.option("--network", help="Network: default, small, residual or separable.  [default]")
@click.option(
    "--normalization",
    help="Scale of sums over valid pixels: none, mean, variance or area.  [area]",
)
@click.option(
    "--twin",
    help="Train a baseline network for comparison, with missing pixels filled by: zero, mean, mask "
    "(zero, and the mask as a channel) or nearest.",
)
@click.pass_context
def train(
    context: click.Context,
    /,
    data: Path | None,
    preset: str,
    output: Path,
    **given: Any,
) -> None:
    """Train a network on a folder of images, or on mosaics of textures.

    With --data: all of DIR is checked first. Afterwards OUTPUT holds model/NAME/1 for
    `lacuna serve`, report.html, scores.json, and logs/ for TensorBoard. The same command resumes an
    interrupted training.

    With --preset: mosaics are drawn during training, the same ones for the same preset, seed and
    number of steps. The demo takes about ten minutes on two cores. The same command resumes it.
    """
    options = {name: value for name, value in given.items() if value is not None}
    if data is None:
        _train_preset(preset, output, options)
        return
    if context.get_parameter_source("preset") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--data and --preset exclude each other")
    if "twin" in options:
        raise click.UsageError("--twin is for presets; --data excludes it")
    _train_folder(data, output, options)


def _train_folder(data: Path, output: Path, options: dict[str, Any]) -> None:
    dataset = read_dataset(data)  # before TensorFlow, so that faults are reported at once
    print_dataset(dataset)
    load_tensorflow()
    from model.data.crops import AugmentationConfig  # noqa: PLC0415
    from model.ops import NORMALIZATIONS  # noqa: PLC0415
    from model.training.folders import NETWORKS, FolderTrainingConfig  # noqa: PLC0415

    _check_choice(options, "network", list(NETWORKS))
    _check_choice(options, "normalization", NORMALIZATIONS)
    if "crop" in options:
        options["augmentation"] = AugmentationConfig(crop=options.pop("crop"))
    train_on_folder(FolderTrainingConfig(**options), dataset, output)


def _train_preset(preset: str, output: Path, options: dict[str, Any]) -> None:
    for name in _NEEDS_DATA:
        if name in options:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --data")
    if {"twin", "normalization"} <= options.keys():
        raise click.UsageError("--twin and --normalization exclude each other")
    load_tensorflow()
    from model.baselines import FILLS  # noqa: PLC0415
    from model.ops import NORMALIZATIONS  # noqa: PLC0415
    from model.training.mosaics import PRESETS, train_on_mosaics  # noqa: PLC0415

    if preset not in PRESETS:
        raise click.BadParameter(f"must be one of {', '.join(PRESETS)}; it is {preset}")
    _check_choice(options, "normalization", NORMALIZATIONS)
    _check_choice(options, "twin", FILLS)
    network = PRESETS[preset].network
    if "normalization" in options:
        network = dataclasses.replace(network, normalization=options.pop("normalization"))
    config = dataclasses.replace(PRESETS[preset], network=network, **options)
    with show_training(config.steps, "IoU") as on_step:
        train_on_mosaics(config, output, on_step)
    click.echo(f"{output}: trained; score it with: lacuna-model evaluate {output}")


def _check_choice(options: Mapping[str, Any], name: str, choices: Sequence[str]) -> None:
    if name in options and options[name] not in choices:
        raise click.BadParameter(
            f"--{name} must be one of {', '.join(choices)}; it is {options[name]}"
        )
