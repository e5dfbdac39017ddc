"""Parsing of requests to `POST /v1/segment` and `/v1/preview`.

The body is a form (`image`, `mask` and parameters), an image file, or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lacuna.errors import (
    EmptyBodyError,
    MalformedRequestError,
)
from lacuna.excerpts import list_names
from lacuna.outputs import DEFAULT_TYPE, OutputType
from lacuna.raster import npy
from lacuna.raster.adapt import find_valid
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import read_mask_file
from lacuna.raster.outlines import MAX_CORNERS
from lacuna.raster.preview import Preview, draw_preview, draw_sample
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import ImageInput, measure_files, measure_images, read_samples
from service.wire.dialect import Footprint, ModelTarget
from service.wire.json_object import estimate_parse_bytes, read_object
from service.wire.json_values import make_image_input
from service.wire.multipart import FormPart, parse_form
from service.wire.native.parameters import (
    MAX_FIELD_BYTES,
    PARAMETERS,
    Parameters,
    merge_parameters,
    read_parameters,
)
from service.wire.native.place import check_place

FORM = "multipart/form-data"
JSON = "application/json"

_MAX_INLINE_ARRAY_BYTES = 256 * 1024
"""Largest array that is decoded on the event loop. For larger ones, a thread is faster."""


@dataclass
class SegmentRequest:
    """Request for one image, which is not yet decoded.

    Attributes:
        parameters: parameters of the request.
        image: image and mask.
        output: type of the answer.
        measures_inline: True if measuring is faster on the event loop than in a thread: arrays.
        decodes_inline: True if decoding is faster on the event loop than in a thread: small arrays,
            not compressed and not stretched.
        priority: always 0; the protocol has no priorities.
    """

    parameters: Parameters
    image: ImageInput
    output: OutputType = DEFAULT_TYPE
    measures_inline: bool = False
    decodes_inline: bool = False
    priority: int = 0

    @property
    def target(self) -> ModelTarget:
        """Model that the request names."""
        return ModelTarget(self.parameters.model, self.parameters.version)

    @property
    def timeout_s(self) -> float | None:
        """Seconds that the client will wait; None for no limit."""
        return self.parameters.timeout_s

    @property
    def stretch(self) -> str:
        """`percentile` to stretch the values to the range of the training data, or `none`."""
        return self.parameters.stretch

    @property
    def planes(self) -> tuple[str, ...]:
        """Planes beside the labels that the answer holds."""
        return self.parameters.also or self.output.planes

    def measure(self, limits: ImageLimits) -> Footprint:
        """Measure image and mask by their headers.

        Raises:
            RequestError: if the image is damaged or too large.
        """
        return measure_images([self.image], limits)

    def estimate_answer_bytes(self, pixels: int, classes: int) -> int:
        """Estimate the memory of labels, planes and the answer, in bytes.

        Args:
            pixels: height × width.
            classes: number of classes of the model.
        """
        pixel_bytes = self.output.estimate_pixel_bytes(classes, self.planes)
        # Noise has a corner at each pixel.
        return pixels * pixel_bytes + min(pixels, MAX_CORNERS) * self.output.corner_bytes

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Decode image and mask and adapt them to a model.

        Args:
            manifest: manifest of the model.
            limits: limits of the image.

        Returns:
            One sample.

        Raises:
            RequestError: if image or mask is damaged or too large, or they do not match each other
                or the model, if the image cannot be stretched, or if it does not lie on Earth and
                the answer needs that.
        """
        samples = read_samples([self.image], manifest, limits, self.stretch)
        if self.output.place == "needed":
            check_place(samples[0].georeference, samples[0].size)
        return samples

    def draw_preview(self, limits: ImageLimits, manifest: Manifest | None) -> Preview:
        """Decode image and mask and draw a picture of what a model is given, for viewing.

        Args:
            limits: limits of the image.
            manifest: manifest of the model; None if it is not known.

        Raises:
            RequestError: if image or mask is damaged or too large, or they do not match, or if the
                image must be stretched and cannot be.
        """
        shown = None if manifest is None else manifest.image.display_range
        if self.parameters.stretch != "none" and manifest is not None and shown is not None:
            (sample,) = self.read_samples(manifest, limits)
            return draw_sample(sample, shown)
        read_mask = self.image.read_mask
        expected = () if manifest is None else manifest.image.bands or ()
        raster = self.image.read_image(limits, replace(self.image.bands, expected=expected))
        mask = None if read_mask is None else read_mask(limits)
        return draw_preview(raster, find_valid(raster, self.image.nodata, mask), shown)


def make_request(
    image: npy.Buffer,
    mask: npy.Buffer | None,
    parameters: Parameters,
    image_type: str | None = None,
    mask_type: str | None = None,
) -> SegmentRequest:
    """Make a request from image files.

    Args:
        image: file in a supported format.
        mask: file in a supported format; None for no mask.
        parameters: parameters of the request.
        image_type: declared media type of the image; None if there is none.
        mask_type: declared media type of the mask; None if there is none.
    """
    image_file = ImageFile(image, image_type)
    mask_file = None if mask is None else ImageFile(mask, mask_type)
    image_input = ImageInput(
        lambda limits: measure_files(image_file, mask_file, limits, parameters.bands),
        image_file.decode,
        None if mask_file is None else lambda limits: read_mask_file(mask_file, limits),
        parameters.nodata,
        parameters.bands,
    )
    files = (image,) if mask is None else (image, mask)
    are_arrays = all(file[: len(npy.MAGIC)] == npy.MAGIC for file in files)
    decodes_inline = (
        are_arrays
        and parameters.stretch == "none"
        and all(len(file) <= _MAX_INLINE_ARRAY_BYTES for file in files)
    )
    return SegmentRequest(
        parameters, image_input, measures_inline=are_arrays, decodes_inline=decodes_inline
    )


def parse_request(
    content_type: str | None,
    query: Mapping[str, str],
    body: bytes | bytearray,
    limits: ImageLimits,
) -> SegmentRequest:
    """Parse a request.

    Args:
        content_type: value of the header; None for an image of unknown format.
        query: parameters of the query.
        body: whole body.
        limits: limits of the image.

    Raises:
        EmptyBodyError: if the body is empty or holds no image.
        MalformedRequestError: if the body or a parameter is malformed.
    """
    if not body:
        raise EmptyBodyError("the body must hold an image; it has 0 bytes")
    essence = read_essence(content_type)
    if essence == FORM:
        return _read_form(parse_form(body, content_type or ""), query)
    if essence == JSON:
        return _read_json(body, query, limits)
    return make_request(memoryview(body), None, read_parameters(query), essence or None)


def estimate_request_bytes(content_type: str | None, body: bytes | bytearray) -> int:
    """Estimate the memory that parsing a body takes, in bytes. Only JSON is parsed.

    Args:
        content_type: value of the header; None for an image of unknown format.
        body: whole body.
    """
    return estimate_parse_bytes(body) if is_json(content_type) else 0


def is_json(content_type: str | None) -> bool:
    """Return True if a header says that a body is JSON."""
    return read_essence(content_type) == JSON


def read_essence(content_type: str | None) -> str:
    """Return a media type without its parameters, in lower case; empty if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def _read_form(parts: Mapping[str, FormPart], query: Mapping[str, str]) -> SegmentRequest:
    fields = {name: part for name, part in parts.items() if not part.is_left_empty}
    if "image" not in fields:
        raise EmptyBodyError(f"the form must have a field image; it has {list_names(fields)}")
    image, mask = fields.pop("image"), fields.pop("mask", None)
    text = {name: _read_field(name, part) for name, part in fields.items()}
    return make_request(
        image.data,
        None if mask is None else mask.data,
        merge_parameters(query, text),
        image.media_type,
        None if mask is None else mask.media_type,
    )


def _read_field(name: str, part: FormPart) -> str:
    # A name that is unknown is refused for that, not for its length.
    if len(part.data) > MAX_FIELD_BYTES and name in PARAMETERS:
        raise MalformedRequestError(
            f"{name} must have at most {MAX_FIELD_BYTES} bytes; it has {len(part.data)}"
        )
    return str(part.data[:MAX_FIELD_BYTES], "utf-8", "replace")


def _read_json(
    body: bytes | bytearray, query: Mapping[str, str], limits: ImageLimits
) -> SegmentRequest:
    content = read_object(body, limits)
    image, mask = content.pop("image", None), content.pop("mask", None)
    if image is None:
        raise EmptyBodyError(f"the JSON object must have an image; it has {list_names(content)}")
    parameters = merge_parameters(query, content)
    return SegmentRequest(
        parameters,
        make_image_input(image, mask, parameters.nodata, parameters.bands, strict=False),
    )
