"""`lacuna-model adopt`."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from model.cli.checking import check_contract
from model.cli.loading import load_tensorflow
from model.cli.writing import check_output, writing

if TYPE_CHECKING:
    from model.adopt.adopting import Adoption
    from model.adopt.comparing import Samples

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _read_config(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the options in a file for defaults."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"the file must be TOML; {error}") from error
    options = {
        option.lstrip("-").replace("-", "_"): parameter
        for parameter in context.command.params
        for option in parameter.opts
        if isinstance(parameter, click.Option) and option.startswith("--")
    }
    told = {key: options.get(key.replace("-", "_")) for key in values}
    unknown = sorted(key for key, option in told.items() if option is None)
    if unknown:
        raise click.BadParameter(f"its keys must be names of options; {', '.join(unknown)} is none")
    context.default_map = {
        str(option.name): _check_value(key, option, values[key])
        for key, option in told.items()
        if option is not None
    }
    return path


def _check_value(key: str, option: click.Option, value: Any) -> Any:
    """Return a value of a file if it has the form of its option's; click would fail on others."""
    is_list = option.multiple or option.nargs > 1
    parts = value if is_list and isinstance(value, list) else [value]
    if isinstance(value, list) != is_list or not all(
        isinstance(part, str | int | float) for part in parts
    ):
        form = "a list of texts or numbers" if is_list else "a text, a number, true or false"
        raise click.BadParameter(f"{key} must be {form}; it is {value!r}")
    return value


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write, <repository>/<model>/<version>.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_read_config,
    is_eager=True,
    expose_value=False,
    help="TOML file of options: their names without the dashes.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME[=#RRGGBB]",
    help="Class, once for each in the order of the outputs; two for one output.",
)
@click.option(
    "--range",
    "value_range",
    nargs=2,
    type=float,
    metavar="LOW HIGH",
    help="Values that the network takes for 0 and for the largest number of the type.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "uint16", "float32"]),
    default="uint8",
    show_default=True,
    help="Type of the images. Those of float32 are given to the network as they are.",
)
@click.option(
    "--mean", multiple=True, type=float, help="Subtracted after the range; once for each channel."
)
@click.option("--deviation", multiple=True, type=float, help="Divides then; once for each channel.")
@click.option(
    "--fill",
    type=click.Choice(["zero", "mean", "nearest", "constant"]),
    default="zero",
    show_default=True,
    help="Value of missing pixels: 0, the mean of the valid ones, that of the nearest, or "
    "--fill-value.",
)
@click.option("--fill-value", "constant", type=float, default=0.0, help="Raw value to fill with.")
@click.option(
    "--activation",
    type=click.Choice(["logits", "softmax", "sigmoid"]),
    help="Meaning of the outputs; measured by default.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability from which a pixel is of the second class, if there is one output.",
)
@click.option(
    "--upsample",
    "upsampling",
    type=click.Choice(["bilinear", "nearest"]),
    default="bilinear",
    show_default=True,
    help="Interpolation of outputs at a fraction of the resolution.",
)
@click.option(
    "--overlap", type=click.IntRange(0), help="Pixels that tiles share, if their size is fixed."
)
@click.option(
    "--layout",
    type=click.Choice(["channels-last", "channels-first"]),
    help="Axis of the channels; found by default.",
)
@click.option("--scores", metavar="NAME", help="Output to use, if there are several.")
@click.option("--signature", metavar="NAME", help="Signature of a SavedModel to use.")
@click.option("--name", help="Name of the model; that of its folder by default.")
@click.option("--description", default="", help="One or two sentences for people.")
@click.option(
    "--masked",
    is_flag=True,
    help="Convert a Keras network into one that ignores missing pixels, with its weights.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="LAYER",
    help="Name or class of a layer that may take statistics over the valid pixels.",
)
@click.option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of images to compare the converted network with the original on.",
)
@click.option("--trust", "trusts", is_flag=True, help="Execute code that a Keras file holds.")
def adopt(source: Path, output: Path, samples: Path | None, **told: Any) -> None:
    """Make a network that was made elsewhere ready for `lacuna serve`.

    SOURCE is a .keras or .h5 file, an .onnx file, or the folder of a SavedModel. It takes an image
    and returns scores of its pixels. What the network takes and returns is found and printed; what
    its file does not show must be told. The network runs unchanged in a graph that fills missing
    pixels, scales, pads to sizes that it takes, and masks the labels.

    \b
    lacuna-model adopt unet.keras -o models/roads/1 --class other --class road --range 0 1

    At the end, `lacuna check` tells what the model promises, and how it is served.
    """
    check_output(output)
    given = Path(os.path.realpath(source))
    if Path(os.path.realpath(output)) in (given, *given.parents):
        raise click.BadParameter(
            "OUTPUT must be another folder than the network's, which it would replace; it is "
            f"{output}"
        )
    if told["constant"] and told["fill"] != "constant":
        raise click.BadParameter(
            f"it is for --fill constant; --fill is {told['fill']}", param_hint="--fill-value"
        )
    told["name"] = told["name"] or output.absolute().parent.name
    if not _NAME.fullmatch(told["name"]):
        raise click.BadParameter(
            "the name must be 1 to 100 letters, digits, dots, dashes and underscores; it is "
            f"{told['name']!r}",
            param_hint="--name",
        )
    if samples is not None and not told["masked"]:
        raise click.BadParameter("it is for --masked", param_hint="--samples")
    load_tensorflow()
    from model.adopt.source import AdoptionError  # noqa: PLC0415

    try:
        adoption = _adopt(source, told)
        images = _get_samples(samples, adoption) if adoption.conversion is not None else None
    except AdoptionError as error:
        raise click.ClickException(str(error)) from error
    with writing(output):
        adoption.save(output)
    _print_findings(adoption)
    if images is not None:
        _print_comparison(adoption, images)
    click.echo(f"{output}: adopted. `lacuna check {output}` says:")
    click.echo(check_contract(output))


def _adopt(path: Path, told: dict[str, Any]) -> Adoption:
    from model.adopt.adopting import SourceOptions, adopt, read_source  # noqa: PLC0415
    from model.adopt.options import AdoptionOptions  # noqa: PLC0415

    about_file = ("scores", "signature", "layout", "activation", "trusts")
    about = SourceOptions(**{name: told.pop(name) for name in about_file})
    with Console(stderr=True).status(f"measuring {path.name}"):
        return adopt(read_source(path, about), about, AdoptionOptions(**told))


def _print_findings(adoption: Adoption) -> None:
    from model.adopt.findings import describe_findings  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False)
    for heading, text in describe_findings(adoption):
        table.add_row(heading, text)
    Console().print(table)


def _get_samples(folder: Path | None, adoption: Adoption) -> Samples:
    from model.adopt.comparing import draw_samples, read_samples  # noqa: PLC0415

    return draw_samples(adoption) if folder is None else read_samples(folder, adoption)


def _print_comparison(adoption: Adoption, samples: Samples) -> None:
    from model.adopt.comparing import compare_samples  # noqa: PLC0415

    with Console(stderr=True).status("comparing with the original"):
        rows = compare_samples(adoption, samples)
    click.echo(f"\nLabels unlike the original's, on {samples.source}:")
    table = Table("", "pixels", "original", "converted", box=None, pad_edge=False)
    for row in rows:
        before = "–" if row.before is None else f"{row.before:.2%}"
        table.add_row(row.case, f"{row.pixels:,}", before, f"{row.after:.2%}")
    Console().print(table)
    click.echo("In another canvas: unlike the same network's in the first.\n")
