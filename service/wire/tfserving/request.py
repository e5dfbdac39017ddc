"""Reading `POST /v1/models/{name}:predict`.

The body is a JSON object with `instances`, a list of rows, each with the inputs of one image; or
with `inputs`, an object of columns, each a list with one input of all images. Where only the image
is given its name may be left out: a row, or the column, is the image then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lacuna.errors import MalformedRequestError
from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import Entry, check_count, read_samples
from service.wire.dialect import ModelTarget
from service.wire.json_object import read_member, read_object
from service.wire.json_values import make_entry
from service.wire.outputs import LABELS, PROBABILITIES

DEFAULT_SIGNATURE = "serving_default"

SIGNATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {DEFAULT_SIGNATURE: (LABELS, PROBABILITIES), "labels": (LABELS,)}
)
"""The outputs of each signature."""

_INPUTS = ("image", "mask")

_LIGHT_BYTES = 64 * 1024
"""Up to here JSON is read in less time than handing it to a thread and back takes."""


@dataclass(frozen=True)
class PredictRequest:
    """A request, read but for its pixels.

    Attributes:
        entries: its images.
        outputs: that are wanted.
        by_rows: as it came, and so as it is answered.
        timeout_s: the protocol has none.
        priority: nor any of these.
        is_light: reading the pixels takes a look at few bytes.
        target: None, for the path names the model.
    """

    entries: Sequence[Entry]
    outputs: tuple[str, ...]
    by_rows: bool
    timeout_s: float | None = None
    priority: int = 0
    is_light: bool = False
    target: ModelTarget | None = None

    @property
    def wants_probabilities(self) -> bool:
        """Whether they are among the outputs."""
        return PROBABILITIES in self.outputs

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Turn the inputs into a model's samples, one for each image.

        Args:
            manifest: of the model.
            limits: of all images together.

        Raises:
            RequestError: if they are damaged, too large, or do not suit each other or the model.
        """
        return read_samples(self.entries, manifest, limits)


def parse_predict(body: bytes | bytearray, limits: ImageLimits) -> PredictRequest:
    """Read a request.

    Args:
        body: the whole of it, not compressed.
        limits: of the images in it.

    Raises:
        RequestError: if it cannot be understood.
    """
    content = read_object(body, limits)
    signature = read_member(content, "signature_name", str, "the request") or DEFAULT_SIGNATURE
    if signature not in SIGNATURES:
        raise MalformedRequestError(
            f"signature_name must be one of {', '.join(SIGNATURES)}; it is {signature[:100]}"
        )
    if ("instances" in content) == ("inputs" in content):
        raise MalformedRequestError(
            "the request must have instances or inputs; it has "
            + ("both" if "inputs" in content else "neither")
        )
    by_rows = "instances" in content
    given = _read_rows(content["instances"]) if by_rows else _read_columns(content["inputs"])
    entries = [make_entry(image, mask, strict=True) for image, mask in given]
    return PredictRequest(
        entries, SIGNATURES[signature], by_rows, is_light=parses_at_once(len(body))
    )


def parses_at_once(body_bytes: int) -> bool:
    """Tell whether reading a body takes less time than handing it to a thread and back."""
    return body_bytes <= _LIGHT_BYTES


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
    image, mask = (read_member(columns, name, list, "inputs") for name in _INPUTS)
    check_count(len(image or []))
    if mask is None:
        return [(value, None) for value in image]
    if len(mask) != len(image):
        raise MalformedRequestError(
            f"inputs must be of one length; image has {len(image)}, mask {len(mask)}"
        )
    return list(zip(image, mask, strict=True))


def _is_named(value: Any) -> bool:
    """Tell inputs with their names from the image alone."""
    return isinstance(value, dict) and "b64" not in value


def _check_names(given: dict[str, Any], what: str) -> None:
    for name in given:
        if name not in _INPUTS:
            raise MalformedRequestError(
                f"{what} must have image and perhaps mask; {name[:100]} is neither"
            )
    if given.get("image") is None:
        found = [name for name, value in given.items() if value is not None]
        raise MalformedRequestError(
            f"{what} must have an image; it has {', '.join(found) or 'none'}"
        )
