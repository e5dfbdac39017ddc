"""`lacuna-model train`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.cli.fold_runs import train_on_folds
from model.cli.folder_runs import train_on_folder
from model.cli.loading import RUN, load_tensorflow, read_dataset, read_folds
from model.cli.printing import print_dataset
from model.cli.progress import show_training

if TYPE_CHECKING:
    from model.training.starting import Start

_TUNING_RATE = 2e-4
"""Peak learning rate for weights that were trained before: a tenth of that for new ones."""

_VARIATION = (
    "crop", "sampling", "rotation", "zoom", "brightness", "band_brightness", "contrast",
)  # fmt: skip
_NEEDS_DATA = (
    *_VARIATION,
    *("validate_every", "patience", "network", "folds", "loss", "class_weights"),
    *("label_smoothing", "ema"),
)

_NETWORK = ("normalization", "fill_levels")


@click.command()
@click.option("--data", metavar="DIR", type=RUN, help="Folder of training images; see validate.")
@click.option(
    "--from",
    "origin",
    metavar="MODEL",
    type=RUN,
    help="Run, or version of a model, to go on from, with its layers and weights: one that was "
    "trained here, or adopted with --masked.",
)
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
    help="Peak learning rate.  [0.002; with --from 0.0002; the preset's]",
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
@click.option(
    "--network",
    help="Network: default, small, large, deep, residual or separable; its cost is printed.  "
    "[default]",
)
@click.option(
    "--loss",
    help="Terms of the loss, such as cross-entropy+dice: cross-entropy, focal, dice, lovasz.  "
    "[cross-entropy]",
)
@click.option(
    "--class-weights",
    metavar="median-frequency|N,N,...",
    help="Weights of the classes in cross-entropy and focal.  [none]",
)
@click.option(
    "--label-smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    help="Part of the target that is spread over all classes.  [0]",
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, max_open=True),
    help="Momentum of a moving average of the weights, kept in their place.  [0]",
)
@click.option("--sampling", help="Crops by turns of the images, by area or by classes.  [images]")
@click.option(
    "--rotation",
    type=click.FloatRange(0, 180),
    metavar="DEGREES",
    help="Largest angle that crops are turned by, besides quarter turns.  [0]",
)
@click.option(
    "--zoom",
    type=(float, float),
    metavar="LOW HIGH",
    help="Smallest and largest change of scale of a crop.  [1 1]",
)
@click.option(
    "--brightness",
    type=click.FloatRange(min=0),
    help="Largest shift of all channels, in standard deviations.  [0.2]",
)
@click.option(
    "--band-brightness",
    type=click.FloatRange(min=0),
    help="Largest shift of each channel by itself, in standard deviations.  [0]",
)
@click.option(
    "--contrast", type=click.FloatRange(0, 1), help="Largest relative change of contrast.  [0.2]"
)
@click.option(
    "--normalization",
    help="Scale of sums over valid pixels: none, mean, variance or area.  [none]",
)
@click.option(
    "--fill-levels",
    type=click.IntRange(min=0),
    help="Sizes of cells, of 2, 4, … pixels, in which missing pixels are filled by reflection.  "
    "[3]",
)
@click.option(
    "--folds",
    metavar="N|groups",
    help="With --data: train N times, or once for each group, each time testing on other images.",
)
@click.option(
    "--twin",
    help="Train a baseline network for comparison, with missing pixels filled by: zero, mean, mask "
    "(zero, and the mask as a channel), nearest, telea or linear.",
)
@click.pass_context
def train(
    context: click.Context,
    /,
    data: Path | None,
    origin: Path | None,
    preset: str,
    output: Path,
    **given: Any,
) -> None:
    """Train a network on a folder of images, or on mosaics of textures.

    With --data: all of DIR is checked first. Afterwards OUTPUT holds model/NAME/1 for
    `lacuna serve`, report.html, scores.json, and logs/ for TensorBoard. The same command resumes an
    interrupted training. With --folds, OUTPUT holds a run for each fold, and folds.json. With
    --from, the network of MODEL is trained on: DIR must have its number of channels and classes,
    and its type of images. With --twin, a baseline network is trained and scored, but not exported.

    With --preset: mosaics are drawn during training, the same ones for the same preset, seed and
    number of steps. The demo takes about ten minutes on two cores. The same command resumes it.
    """
    options = {name: value for name, value in given.items() if value is not None}
    for name in _NETWORK:
        if {"twin", name} <= options.keys():
            raise click.UsageError(f"--twin and --{_dash(name)} exclude each other")
    if data is None:
        if origin is not None:
            raise click.UsageError("--from needs --data")
        _train_preset(preset, output, options)
        return
    if context.get_parameter_source("preset") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--data and --preset exclude each other")
    if origin is None:
        _train_folder(data, output, options)
    else:
        _train_on(origin, data, output, options)


def _train_on(origin: Path, data: Path, output: Path, options: dict[str, Any]) -> None:
    """Train a network that has weights already."""
    from model.training.starting import StartError, read_start  # noqa: PLC0415

    for name in ("network", *_NETWORK, "twin"):
        if name in options:
            raise click.UsageError(f"--{_dash(name)} is for new networks; --from excludes it")
    try:
        start = read_start(origin)
        _train_folder(data, output, {"learning_rate": _TUNING_RATE, **options}, start)
    except StartError as error:
        raise click.ClickException(str(error)) from error


def _train_folder(
    data: Path, output: Path, options: dict[str, Any], start: Start | None = None
) -> None:
    folds = options.pop("folds", None)
    if folds is not None and folds != "groups" and not folds.isdecimal():
        raise click.BadParameter(f"--folds must be a number or groups; it is {folds}")
    # Before TensorFlow, so that faults are reported at once.
    datasets = read_folds(data, folds) if folds else [read_dataset(data)]
    if start is not None:
        start.check_dataset(datasets[0])
    if not folds:
        print_dataset(datasets[0])
    load_tensorflow()
    from model.baselines import FILLS  # noqa: PLC0415
    from model.data.crops import AugmentationConfig  # noqa: PLC0415
    from model.losses import make_loss  # noqa: PLC0415
    from model.ops import NORMALIZATIONS  # noqa: PLC0415
    from model.training.class_weights import choose_class_weights  # noqa: PLC0415
    from model.training.costs import measure_cost  # noqa: PLC0415
    from model.training.folders import (  # noqa: PLC0415
        NETWORKS,
        FolderTrainingConfig,
        choose_architecture,
        choose_network,
    )

    _check_choice(options, "network", list(NETWORKS))
    _check_choice(options, "normalization", NORMALIZATIONS)
    _check_choice(options, "twin", FILLS)
    try:
        varied = {name: options.pop(name) for name in _VARIATION if name in options}
        config = FolderTrainingConfig(augmentation=AugmentationConfig(**varied), **options)
        for dataset in datasets:
            make_loss(
                config.loss,
                choose_class_weights(config.class_weights, dataset),
                config.label_smoothing,
            )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if start is None:
        network = choose_network(config, datasets[0])
        cost = measure_cost(network, choose_architecture(config, network))
        click.echo(f"network {config.network}: {cost}")
    if folds:
        train_on_folds(config, datasets, output, start)
    else:
        train_on_folder(config, datasets[0], output, start)


def _train_preset(preset: str, output: Path, options: dict[str, Any]) -> None:
    for name in _NEEDS_DATA:
        if name in options:
            raise click.UsageError(f"--{_dash(name)} needs --data")
    load_tensorflow()
    from model.baselines import FILLS  # noqa: PLC0415
    from model.ops import NORMALIZATIONS  # noqa: PLC0415
    from model.training.mosaics import PRESETS, train_on_mosaics  # noqa: PLC0415

    if preset not in PRESETS:
        raise click.BadParameter(f"must be one of {', '.join(PRESETS)}; it is {preset}")
    _check_choice(options, "normalization", NORMALIZATIONS)
    _check_choice(options, "twin", FILLS)
    chosen = {name: options.pop(name) for name in _NETWORK if name in options}
    if "twin" in options:
        chosen["fill_levels"] = 0
    try:
        network = dataclasses.replace(PRESETS[preset].network, **chosen)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    config = dataclasses.replace(PRESETS[preset], network=network, **options)
    with show_training(config.steps, "IoU") as on_step:
        train_on_mosaics(config, output, on_step)
    click.echo(f"{output}: trained; score it with: lacuna-model evaluate {output}")


def _dash(name: str) -> str:
    return name.replace("_", "-")


def _check_choice(options: Mapping[str, Any], name: str, choices: Sequence[str]) -> None:
    if name in options and options[name] not in choices:
        raise click.BadParameter(
            f"--{name} must be one of {', '.join(choices)}; it is {options[name]}"
        )
