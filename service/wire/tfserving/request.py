"""Parsing of requests to `POST /v1/models/{name}:predict`.

The body is a JSON object with `instances` or `inputs`. `instances` is a list of rows; a row is an
object with the inputs of one image. `inputs` is an object of columns; a column is a list with one
input of all images. If there is no mask, the object may be replaced by the image or images alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lacuna.errors import MalformedRequestError
from lacuna.planes import PROBABILITIES
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.limits import ImageLimits
from lacuna.raster.nodata import NoData
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import (
    ImageInput,
    check_count,
    measure_images,
    read_samples,
)
from service.wire.dialect import Footprint, ModelTarget
from service.wire.json_object import read_member, read_object
from service.wire.json_values import make_image_input
from service.wire.outputs import LABELS, estimate_pixel_bytes

DEFAULT_SIGNATURE = "serving_default"

SIGNATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {DEFAULT_SIGNATURE: (LABELS, PROBABILITIES), "labels": (LABELS,)}
)
"""Outputs of each signature."""

INPUTS = ("image", "mask")

_MAX_INLINE_BYTES = 64 * 1024
"""Largest body that is parsed on the event loop. For larger ones, a thread is faster."""


@dataclass(frozen=True)
class PredictRequest:
    """Request whose images are not yet decoded.

    Attributes:
        images: images of the request.
        outputs: names of the requested outputs.
        by_rows: True if the request has `instances`, False if it has `inputs`.
        timeout_s: seconds that the client will wait; None for no limit. JSON has no timeouts.
        priority: always 0; the protocol has no priorities.
        decodes_inline: True if decoding is faster on the event loop than in a thread.
        target: model that the message names; None if the path of the request does.
        stretch: `none`, because the protocol has no parameter for it; a platform's may.
        as_tensors: True for answers of tensors, and images of one size; False for JSON.
        signature: name of the signature.
    """

    images: Sequence[ImageInput]
    outputs: tuple[str, ...]
    by_rows: bool
    timeout_s: float | None = None
    priority: int = 0
    decodes_inline: bool = False
    target: ModelTarget | None = None
    stretch: str = "none"
    as_tensors: bool = False
    signature: str = DEFAULT_SIGNATURE

    @property
    def planes(self) -> tuple[str, ...]:
        """Planes beside the labels that the answer holds."""
        return tuple(name for name in self.outputs if name != LABELS)

    @property
    def measures_inline(self) -> bool:
        """True if measuring is faster on the event loop than in a thread."""
        return self.decodes_inline

    def measure(self, limits: ImageLimits) -> Footprint:
        """Measure the inputs by their headers and lengths.

        Args:
            limits: limits of all images together.

        Raises:
            RequestError: if an image is malformed or too large.
        """
        return measure_images(self.images, limits)

    def estimate_answer_bytes(self, pixels: int, classes: int) -> int:
        """Estimate the memory of labels, planes and the answer, in bytes.

        Args:
            pixels: height × width, of all images together.
            classes: number of classes of the model.
        """
        return pixels * sum(
            estimate_pixel_bytes(name, classes, as_text=not self.as_tensors)
            for name in self.outputs
        )

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Convert the inputs to samples of a model, one per image.

        Args:
            manifest: manifest of the model.
            limits: limits of all images together.

        Raises:
            RequestError: if an image or mask is malformed or too large, or they do not match each
                other or the model, or if the images cannot be stretched.
        """
        samples = read_samples(self.images, manifest, limits, self.stretch)
        if self.as_tensors:
            _check_sizes(samples)
        return samples


def parse_predict(body: bytes | bytearray, limits: ImageLimits) -> PredictRequest:
    """Parse a request.

    Args:
        body: whole body, decompressed.
        limits: limits of the images.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    return read_predict(read_object(body, limits), len(body))


def read_predict(
    content: dict[str, Any],
    body_bytes: int,
    nodata: NoData | None = None,
    bands: BandSelection = EVERY_BAND,
) -> PredictRequest:
    """Read a request from its JSON object.

    Args:
        content: JSON object.
        body_bytes: size of the text that it was parsed from.
        nodata: value of missing pixels, in the units of the images; None for none.
        bands: bands of the images that are wanted.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    signature = choose_signature(read_member(content, "signature_name", str, "the request"))
    if ("instances" in content) == ("inputs" in content):
        raise MalformedRequestError(
            "the request must have instances or inputs; it has "
            + ("both" if "inputs" in content else "neither")
        )
    by_rows = "instances" in content
    given = _read_rows(content["instances"]) if by_rows else _read_columns(content["inputs"])
    images = [make_image_input(image, mask, nodata, bands, strict=True) for image, mask in given]
    return PredictRequest(
        images,
        SIGNATURES[signature],
        by_rows,
        decodes_inline=parses_inline(body_bytes),
        signature=signature,
    )


def choose_signature(name: str | None) -> str:
    """Return the signature that a request names, or the default if it names none.

    Raises:
        MalformedRequestError: if there is no such signature.
    """
    signature = name or DEFAULT_SIGNATURE
    if signature not in SIGNATURES:
        raise MalformedRequestError(
            f"signature_name must be one of {', '.join(SIGNATURES)}; it is {signature[:100]}"
        )
    return signature


def parses_inline(body_bytes: int) -> bool:
    """Return True if parsing a body on the event loop is faster than in a thread."""
    return body_bytes <= _MAX_INLINE_BYTES


def _read_rows(rows: Any) -> list[tuple[Any, Any]]:
    if not isinstance(rows, list):
        raise MalformedRequestError(f"instances must be a list; it is a {type(rows).__name__}")
    check_count(len(rows))
    return [_read_row(row) for row in rows]


def _read_row(row: Any) -> tuple[Any, Any]:
    if not _is_named(row):
        return row, None
    _check_names(row, "an instance")
    return row["image"], row.get("mask")


def _read_columns(columns: Any) -> list[tuple[Any, Any]]:
    if not _is_named(columns):
        columns = {"image": columns}
    _check_names(columns, "inputs")
    image, mask = (read_member(columns, name, list, "inputs") for name in INPUTS)
    check_count(len(image or []))
    if mask is None:
        return [(value, None) for value in image]
    if len(mask) != len(image):
        raise MalformedRequestError(
            f"image and mask must have equal lengths; image has {len(image)}, mask {len(mask)}"
        )
    return list(zip(image, mask, strict=True))


def _is_named(value: Any) -> bool:
    """Return True for an object of named inputs, False for an image alone."""
    return isinstance(value, dict) and "b64" not in value


def _check_names(given: dict[str, Any], what: str) -> None:
    for name in given:
        if name not in INPUTS:
            raise MalformedRequestError(
                f"{what} must have only image and mask; {name[:100]} is neither"
            )
    if given.get("image") is None:
        found = [name for name, value in given.items() if value is not None]
        raise MalformedRequestError(
            f"{what} must have an image; it has {', '.join(found) or 'none'}"
        )


def _check_sizes(samples: Sequence[Sample]) -> None:
    """Check that the answers for all images fit into one tensor."""
    sizes = {sample.size for sample in samples}
    if len(sizes) > 1:
        told = " and ".join(f"{height}×{width}" for height, width in sorted(sizes)[:2])
        raise MalformedRequestError(
            f"the images of a request must have one size, because a tensor has; they have {told}"
        )
