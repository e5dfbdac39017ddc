"""Metadata of the server and its models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lacuna.raster.band_parameters import write_bands
from service.core.model_formats import ModelFormat
from service.runtime.manifest import Manifest
from service.wire.batch import MAX_IMAGES

EXTENSIONS = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "schedule_policy",
    "statistics",
)

_IMAGE_PIXELS, _BANDS = "image_pixels", "bands"

_DATATYPES = {"uint8": "UINT8", "uint16": "UINT16", "float32": "FP32"}


def describe_server(version: str) -> dict[str, Any]:
    """Return the answer to `GET /v2`.

    Args:
        version: version of the service.
    """
    return {"name": "lacuna", "version": version, "extensions": list(EXTENSIONS)}


def describe_model(
    name: str, versions: Sequence[str], kind: ModelFormat, manifest: Manifest, image_pixels: int
) -> dict[str, Any]:
    """Return the answer to `GET /v2/models/{name}`.

    The first dimension of a shape is the number of images. A dimension of -1 may have any size.

    Args:
        name: name of the model.
        versions: versions in service.
        kind: format of the requested version.
        manifest: manifest of the requested version.
        image_pixels: maximum height × width of an image.
    """
    return {
        "name": name,
        "versions": list(versions),
        "platform": kind.platform,
        "inputs": [
            {"name": tensor, "datatype": datatype, "shape": [-1, *sides]}
            for tensor, datatype, sides in _list_inputs(manifest)
        ],
        "outputs": [
            {"name": tensor, "datatype": datatype, "shape": [-1, *sides]}
            for tensor, datatype, sides in _list_outputs(manifest)
        ],
        "properties": _list_properties(manifest, image_pixels),
    }


def describe_config(
    name: str, kind: ModelFormat, manifest: Manifest, image_pixels: int
) -> dict[str, Any]:
    """Return the answer to `GET /v2/models/{name}/config`.

    `dims` are those of one image, because `max_batch_size` is more than 0.

    Args:
        name: name of the model.
        kind: format of the requested version.
        manifest: manifest of the requested version.
        image_pixels: maximum height × width of an image.
    """
    return {
        "name": name,
        "platform": kind.platform,
        "backend": kind.backend,
        "max_batch_size": MAX_IMAGES,
        "input": [
            {
                "name": tensor,
                "data_type": f"TYPE_{datatype}",
                "dims": sides,
                "optional": tensor == "mask",
            }
            for tensor, datatype, sides in _list_inputs(manifest)
        ],
        "output": [
            {"name": tensor, "data_type": f"TYPE_{datatype}", "dims": sides}
            for tensor, datatype, sides in _list_outputs(manifest)
        ],
        "parameters": {
            name: {"string_value": value}
            for name, value in _list_properties(manifest, image_pixels).items()
        },
    }


def _list_properties(manifest: Manifest, image_pixels: int) -> dict[str, str]:
    bands = manifest.image.bands
    named = {} if bands is None else {_BANDS: write_bands(bands)}
    return {_IMAGE_PIXELS: str(image_pixels), **named}


def _list_inputs(manifest: Manifest) -> list[tuple[str, str, list[int]]]:
    datatype = _DATATYPES[manifest.image.dtype]
    return [
        ("image", datatype, [-1, -1, manifest.image.channels]),
        ("mask", "BOOL", [-1, -1, 1]),
    ]


def _list_outputs(manifest: Manifest) -> list[tuple[str, str, list[int]]]:
    return [
        ("labels", "UINT8", [-1, -1]),
        ("probabilities", "FP32", [-1, -1, len(manifest.classes)]),
        ("confidence", "FP32", [-1, -1]),
        ("support", "FP32", [-1, -1]),
    ]
