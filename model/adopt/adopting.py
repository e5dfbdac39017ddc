"""Adoption: the steps in their order, from a file to a version that a server takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lacuna.distribution import describe_extra
from model.adopt.keras_files import SUFFIXES, read_keras_file
from model.adopt.layout import Layout, find_layout, run_network
from model.adopt.meaning import find_meaning
from model.adopt.measuring import Measured, Probe, check_batches, measure
from model.adopt.options import (
    WHITES,
    AdoptionOptions,
    Scaling,
    check_options,
    check_use,
    describe_classes,
    make_scaling,
)
from model.adopt.plan import WrappingPlan, choose_overlap, count_classes, find_grid, round_radius
from model.adopt.saved_models import GRAPH_FILES, read_saved_model
from model.adopt.source import AdoptionError, Floats, Source, as_float
from model.adopt.wrapping import make_signatures
from model.export import MANIFEST_SCHEMA, save_signatures, write_version
from model.training.converted import ConvertedConfig

if TYPE_CHECKING:
    from model.convert import Conversion


@dataclass(frozen=True)
class SourceOptions:
    """Facts that a person tells about the file.

    Attributes:
        scores: name of the output with the scores; None for the only one.
        signature: name of the SavedModel's signature; None for the usual one.
        layout: one of `LAYOUTS`; None to find it.
        activation: one of `ACTIVATIONS`; None to find it.
        trusts: True to execute the code that the file holds.
    """

    scores: str | None = None
    signature: str | None = None
    layout: str | None = None
    activation: str | None = None
    trusts: bool = False


@dataclass(frozen=True)
class Adoption:
    """Adopted network.

    Attributes:
        source: the network as its file describes it.
        plan: what is done around it.
        measured: what was measured of it.
        manifest: facts for the server.
        conversion: the converted network; None if it was not converted.
    """

    source: Source
    plan: WrappingPlan
    measured: Measured
    manifest: Mapping[str, Any]
    conversion: Conversion | None = None

    def save(self, output: Path) -> None:
        """Write the version of the model.

        Args:
            output: the folder to write, `<repository>/<name>/<version>`. An existing one is
                replaced once the new one is complete.
        """
        write_version(output, self.manifest, self._save_graph, self._make_trainable())

    def _make_trainable(self) -> Any:
        if self.conversion is None:
            return None
        from model.adopt.tuning import make_trainable  # noqa: PLC0415 (of Keras alone)

        return make_trainable(self.conversion.network, self.plan.scaling, self.plan.meaning)

    def _save_graph(self, folder: Path) -> None:
        if self.source.kind == "ONNX":
            from model.adopt.onnx_wrapping import save_wrapped  # noqa: PLC0415 (the extra)

            save_wrapped(self.source, self.plan, folder)
        else:
            save_signatures(make_signatures(self.source.graph, self.plan), folder)


def read_source(path: Path, options: SourceOptions) -> Source:
    """Read a network from a file or a folder.

    Args:
        path: `.keras`, `.h5`, `.onnx`, or the folder of a SavedModel.
        options: what was told about the file.

    Raises:
        AdoptionError: if it is none of these, cannot be read, or is no network from one image to
            scores.
    """
    if any((path / name).is_file() for name in GRAPH_FILES):
        return read_saved_model(path, scores=options.scores, signature=options.signature)
    if options.signature is not None:
        raise AdoptionError(f"--signature is for a SavedModel; {path.name} is none")
    if path.is_file() and path.suffix in SUFFIXES:  # Keras tells its formats apart by them
        return read_keras_file(path, scores=options.scores, trusts=options.trusts)
    if path.is_file() and path.suffix.lower() == ".onnx":
        return _read_onnx_file(path, options)
    raise AdoptionError(
        f"a network must be a .keras, .h5 or .onnx file, or the folder of a SavedModel; {path} is "
        "none of them"
    )


def _read_onnx_file(path: Path, options: SourceOptions) -> Source:
    try:
        from model.adopt.onnx_files import read_onnx_file  # noqa: PLC0415 (needs the extra)
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxruntime"):
            raise
        raise AdoptionError(
            f"an ONNX file needs the extra `onnx`: {describe_extra('onnx')}"
        ) from error
    return read_onnx_file(path, scores=options.scores)


def adopt(source: Source, told: SourceOptions, options: AdoptionOptions) -> Adoption:
    """Measure a network, and plan what is done around it.

    Args:
        source: from `read_source`.
        told: what was told about the file.
        options: what was told about the network.

    Raises:
        AdoptionError: if something must be told, was told wrongly, or the network cannot be served.
    """
    check_options(options)
    _check_range(source, options)
    conversion = None
    if options.masked:
        from model.adopt.masking import convert_source  # noqa: PLC0415 (of Keras alone)

        source, conversion = convert_source(source, options)
    elif options.allow:
        raise AdoptionError(f"--allow is for --masked; it is {', '.join(options.allow)}")
    layout = find_layout(source, told.layout)
    classes = describe_classes(options.classes, count_classes(layout.outputs))
    scaling = make_scaling(options, layout.channels)
    probe = _make_probe(source, layout, scaling, WHITES[options.dtype])
    measured = measure(probe)
    check_batches(probe, measured)
    check_use(options, layout.outputs, measured.factor)
    meaning = find_meaning(source, layout.outputs, measured, told.activation)
    if conversion is None:
        stride, radius = find_grid(measured, options)
        multiple = measured.total_stride or measured.cell
        about: dict[str, Any] = {"fill": options.fill}
    else:
        stride, radius = round_radius(conversion.total_stride, conversion.receptive_radius)
        multiple = 1
        network = ConvertedConfig(layout.channels, len(classes), stride, radius, conversion.notes)
        about = {"masked": True, "network": network.to_json()}
    plan = WrappingPlan(
        layout, multiple, measured.factor, source.input.dtype, scaling, meaning, options
    )
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "name": options.name,
        "description": options.description,
        "image": {"channels": layout.channels, "dtype": options.dtype},
        "classes": classes,
        "total_stride": stride,
        "receptive_radius": radius,
        **_describe_tiles(layout, stride, radius, options),
        "training": {
            "adopted_from": source.kind,
            "input": f"{source.input}; {scaling}",
            "output": f"{source.output}; {meaning}",
            **about,
        },
    }
    return Adoption(source, plan, measured, manifest, conversion)


def _check_range(source: Source, options: AdoptionOptions) -> None:
    """Check that the values which the network takes are known, and that its type holds them."""
    dtype, white = np.dtype(source.input.dtype), WHITES[options.dtype]
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    takes_raw = source.scales_itself if limits is None else limits.max >= white
    is_told = options.value_range is not None or options.dtype == "float32"
    if not takes_raw and not is_told:
        found = "its graph does not show them" if limits is None else f"its input is {dtype}"
        raise AdoptionError(
            "--range LOW HIGH must tell the values that the network takes for 0 and "
            f"{white:.0f}, such as {'0 1' if limits is None else f'{limits.min} {limits.max}'}; "
            f"{found}"
        )
    told: tuple[float, ...] = options.value_range or ()
    if limits is not None and any(not limits.min <= value <= limits.max for value in told):
        raise AdoptionError(
            f"--range must lie in what the input holds, {dtype} from {limits.min} to {limits.max}; "
            f"it is {told[0]:g} {told[1]:g}"
        )


def _make_probe(source: Source, layout: Layout, scaling: Scaling, white: float) -> Probe:
    """Make a probe whose images are raw values, as the server gives them."""
    scale, offset = as_float(scaling.scale), as_float(scaling.offset)

    def run(images: Floats) -> Floats:
        return run_network(source, layout, images * scale + offset)

    return Probe(run, layout.channels, (0.0, white), layout.size)


def _describe_tiles(
    layout: Layout, stride: int, radius: int, options: AdoptionOptions
) -> dict[str, Any]:
    if layout.size is None:
        if options.overlap is not None:
            raise AdoptionError("--overlap is for inputs of a fixed size; this one takes any size")
        return {}
    (height, width), overlap = layout.size, choose_overlap(layout.size, stride, radius, options)
    if not 0 <= overlap < min(height, width):
        raise AdoptionError(
            f"--overlap must be less than the sides of the input, {height} × {width}; it is "
            f"{overlap}"
        )
    return {"tiles": {"height": height, "width": width, "overlap": overlap}}
