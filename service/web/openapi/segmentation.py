"""`POST /v1/segment` and `POST /v1/preview`."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from lacuna.raster.formats import ACCEPTED, list_body_types
from service.web.openapi.errors import describe_problems
from service.web.openapi.images import EncodedImage, MaskRunLengths, MaskValues, PixelValues
from service.web.openapi.operations import Object, Operation, describe_answer, describe_json
from service.web.openapi.parameters import (
    PREVIEW_QUERY,
    SEGMENT_QUERY,
    AnswerParameters,
    Bands,
    CommonParameters,
)
from service.web.openapi.results import describe_segmentation
from service.web.openapi.schemas import BINARY, refer

_ImageFile = Annotated[bytes, Field(description=f"File: {ACCEPTED}.")]
_MaskFile = Annotated[bytes, Field(description="File of the image's size; non-zero = valid.")]


class _Files(TypedDict):
    image: _ImageFile
    mask: NotRequired[_MaskFile]
    bands: NotRequired[Bands]


class PreviewForm(_Files, CommonParameters):
    """Form with an image, a mask of its valid pixels, and parameters."""


class SegmentForm(_Files, AnswerParameters):
    """Form with an image, a mask of its valid pixels, and parameters."""


class _Values(TypedDict):
    image: PixelValues | EncodedImage
    mask: NotRequired[MaskValues | EncodedImage | MaskRunLengths | None]
    bands: NotRequired[str | list[int | str]]


class SegmentRequest(_Values, AnswerParameters):
    """Image, mask of its valid pixels, and parameters.

    Attributes:
        image: Rows of pixels, or a file in base64.
        mask: Rows of pixels, a file in base64, or COCO run lengths; null counts as missing.
        bands: Channels of the image in order, as numbers from 1 or names, in a list or separated
            by commas; by default all bands but alpha.
    """


SCHEMAS = (SegmentRequest, SegmentForm, PreviewForm)

EXAMPLE: Any = {
    "image": [[0, 100, 200], [None, 50, 255]],
    "mask": [[1, 1, 1], [1, 1, 1]],
    "nodata": 0,
}
"""Request in JSON."""

_FILES = {media_type: {"schema": BINARY} for media_type in list_body_types()}


def list_bodies(json: Object) -> Object:
    """Return the content of a request: a form, JSON or a file.

    Args:
        json: content in JSON.
    """
    return {"multipart/form-data": {"schema": refer(SegmentForm)}, **json, **_FILES}


SEGMENT = Operation(
    "segment",
    "Segment an image with missing pixels",
    {
        200: describe_segmentation(),
        **describe_problems(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504),
    },
    description="The body is a form, an image file, or JSON. Parameters are in the query, or in "
    "form or JSON. A pixel is valid if mask, alpha, no-data value and the values themselves agree; "
    "values of invalid pixels never affect the answer.",
    parameters=SEGMENT_QUERY,
    body=list_bodies(describe_json(refer(SegmentRequest), EXAMPLE)),
)

PREVIEW = Operation(
    "preview",
    "Convert an image of any supported format to PNG, for viewing",
    {
        200: describe_answer(
            "PNG of 8 bits, grey or RGB; invalid pixels are transparent.",
            {"image/png": {"schema": BINARY}},
            "Lacuna-Preview",
            "Lacuna-Preview-Range",
        ),
        **describe_problems(400, 401, 404, 408, 413, 415, 422, 429, 500, 503),
    },
    description="The picture shows what a model is given. No model is run.",
    parameters=PREVIEW_QUERY,
    body={"multipart/form-data": {"schema": refer(PreviewForm)}, **_FILES},
)
