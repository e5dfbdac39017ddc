"""Reading `POST /v1/segment` and `/v1/preview`: what is asked, and of which image.

The body is a form (`image`, `mask` and parameters), an image as it is, or JSON. Parameters may
stand in the query as well as in the form or the JSON object, but not in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lacuna.errors import (
    EmptyBodyError,
    MalformedRequestError,
)
from lacuna.outputs import DEFAULT_TYPE, OutputType
from lacuna.raster import npy
from lacuna.raster.adapt import add_mask, find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.preview import Preview, draw_preview
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import Entry, read_samples
from service.wire.dialect import ModelTarget
from service.wire.json_object import read_object
from service.wire.json_values import make_entry
from service.wire.multipart import FormPart, parse_form

FORM = "multipart/form-data"
JSON = "application/json"

_LIGHT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Parameters:
    """What a request says beside the image.

    Attributes:
        model: name; None for the only one.
        version: digits; None for the one that is served.
        nodata: value of missing pixels in the image's own units; may be NaN.
        timeout_s: how long the caller will wait, in seconds; None for as long as it takes.
    """

    model: str | None = None
    version: str | None = None
    nodata: float | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class SegmentRequest:
    """A request for one image, read but not yet decoded.

    Attributes:
        parameters: what it says beside the image.
        entry: the image and its mask.
        output: type of the answer.
        is_light: decoding takes a look at a few bytes only: small arrays, not compressed.
        priority: the protocol has none.
    """

    parameters: Parameters
    entry: Entry
    output: OutputType = DEFAULT_TYPE
    is_light: bool = False
    priority: int = 0

    @property
    def target(self) -> ModelTarget:
        """The model that it names."""
        return ModelTarget(self.parameters.model, self.parameters.version)

    @property
    def timeout_s(self) -> float | None:
        """How long the caller will wait, in seconds; None for as long as it takes."""
        return self.parameters.timeout_s

    @property
    def wants_probabilities(self) -> bool:
        """Whether they are to be computed."""
        return self.output.has_probabilities

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Decode image and mask and fit them to a model.

        Args:
            manifest: of the model.
            limits: the largest image that is decoded.

        Returns:
            One sample.

        Raises:
            RequestError: if either is damaged, too large, or does not suit the other or the model.
        """
        return read_samples([self.entry], manifest, limits)

    def draw_preview(self, limits: ImageLimits) -> Preview:
        """Decode image and mask and draw them for people.

        Args:
            limits: the largest image that is decoded.

        Raises:
            RequestError: if either is damaged, too large, or does not suit the other.
        """
        read_mask = self.entry.read_mask
        raster = self.entry.read_image(limits)
        raster = add_mask(raster, None if read_mask is None else read_mask(limits))
        return draw_preview(raster, find_valid(raster, self.entry.nodata))


def make_request(
    image: npy.Buffer,
    mask: npy.Buffer | None,
    parameters: Parameters,
    image_type: str | None = None,
    mask_type: str | None = None,
) -> SegmentRequest:
    """Make a request of files.

    Args:
        image: PNG, JPEG, WebP, TIFF or NPY.
        mask: the same; None if there is none.
        parameters: what is said beside them.
        image_type: what the image was declared as.
        mask_type: what the mask was declared as.
    """
    entry = Entry(
        lambda limits: decode_image(image, limits, image_type),
        None if mask is None else lambda limits: decode_mask(mask, limits, mask_type),
        parameters.nodata,
    )
    is_light = _is_light(image) and (mask is None or _is_light(mask))
    return SegmentRequest(parameters, entry, is_light=is_light)


def _is_light(data: npy.Buffer) -> bool:
    return len(data) <= _LIGHT_BYTES and data[: len(npy.MAGIC)] == npy.MAGIC


def parse_request(
    content_type: str | None,
    query: Mapping[str, str],
    body: bytes | bytearray,
    limits: ImageLimits,
) -> SegmentRequest:
    """Read a request.

    Args:
        content_type: the header; None counts as an image of unknown format.
        query: the query's parameters.
        body: the whole of it.
        limits: of the image.

    Raises:
        EmptyBodyError: if there is no body, or no image in it.
        MalformedRequestError: if body or parameters cannot be understood.
        UnsupportedMediaTypeError: if an image is of no type that is read (when it is decoded).
    """
    if not body:
        raise EmptyBodyError("the body must hold an image; it has 0 bytes")
    essence = (content_type or "").partition(";")[0].strip().lower()
    if essence == FORM:
        return _read_form(parse_form(body, content_type or ""), query)
    if essence == JSON:
        return _read_json(body, query, limits)
    return make_request(memoryview(body), None, read_parameters(query), essence or None)


def _read_form(parts: Mapping[str, FormPart], query: Mapping[str, str]) -> SegmentRequest:
    fields = dict(parts)
    image, mask = fields.pop("image", None), fields.pop("mask", None)
    if image is None:
        raise EmptyBodyError(f"the form must have a field image; it has {_list(parts)}")
    text = {name: str(part.data, "utf-8", "replace") for name, part in fields.items()}
    return make_request(
        image.data,
        None if mask is None else mask.data,
        _merge(query, text),
        image.media_type,
        None if mask is None else mask.media_type,
    )


def _read_json(
    body: bytes | bytearray, query: Mapping[str, str], limits: ImageLimits
) -> SegmentRequest:
    content = read_object(body, limits)
    image, mask = content.pop("image", None), content.pop("mask", None)
    if image is None:
        raise EmptyBodyError(f"the JSON object must have an image; it has {_list(content)}")
    parameters = _merge(query, content)
    return SegmentRequest(parameters, make_entry(image, mask, parameters.nodata, strict=False))


def read_parameters(given: Mapping[str, Any]) -> Parameters:
    """Read parameters from text or JSON values.

    Args:
        given: by name; None and empty text count as left out.

    Raises:
        MalformedRequestError: if one is unknown, or no value of its kind.
    """
    known = Parameters.__dataclass_fields__
    for name in given:
        if name not in known:
            raise MalformedRequestError(
                f"a parameter must be one of {', '.join(known)}; {name} is not"
            )
    timeout_s = _read_number(given, "timeout_s")
    if timeout_s is not None and not (math.isfinite(timeout_s) and timeout_s > 0):
        raise MalformedRequestError(f"timeout_s must be more than 0; it is {timeout_s:g}")
    return Parameters(
        _read_text(given, "model"),
        _read_text(given, "version"),
        _read_number(given, "nodata"),
        timeout_s,
    )


def _merge(query: Mapping[str, Any], body: Mapping[str, Any]) -> Parameters:
    for name in query:
        if name in body:
            raise MalformedRequestError(f"{name} must stand in the query or in the body, not both")
    return read_parameters({**query, **body})


def _read_text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MalformedRequestError(f"{name} must be text; it is {value!r:.100}")


def _read_number(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedRequestError(f"{name} must be a number; it is {value!r:.100}") from None


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
