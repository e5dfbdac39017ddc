"""Answers of `POST /v1/segment`, in all their types."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from lacuna.outputs import DEFAULT_TYPE, MEDIA_TYPES, find_by_media_type
from service.web.openapi.operations import Object, describe_answer, describe_json
from service.web.openapi.regions import RegionCollection
from service.web.openapi.schemas import BINARY, refer

_GEOJSON = "application/geo+json"
_Whole = Annotated[int, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Color = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]


class AnsweringModel(TypedDict):
    """Model that has answered.

    Attributes:
        name: Name of the model.
        version: Version of the model.
    """

    name: str
    version: str


class ImageSize(TypedDict):
    """Size of an image in pixels.

    Attributes:
        height: Number of rows.
        width: Number of columns.
    """

    height: _Whole
    width: _Whole


class ControlPoint(TypedDict):
    """Point of an image whose place on Earth is known.

    Attributes:
        row: Pixels from the upper edge.
        column: Pixels from the left edge.
        x: First coordinate, in units of the CRS.
        y: Second coordinate, in units of the CRS.
        z: Height.
    """

    row: float
    column: float
    x: float
    y: float
    z: float


class Georeference(TypedDict):
    """Place of an image on Earth.

    Attributes:
        crs: Coordinate reference system, a code or else WKT 2; null if it is unknown.
        transform: a to f of x = a·column + b·row + c, y = d·column + e·row + f, where (0, 0) is the
            outer corner of the first pixel; null if there is none.
        gcps: Control points, where the file has these instead of a transform.
        pixel_area_m2: Mean area of a pixel on the ellipsoid; null if it is not known.
    """

    crs: str | None
    transform: Annotated[list[float], Field(min_length=6, max_length=6)] | None
    gcps: NotRequired[list[ControlPoint]]
    pixel_area_m2: float | None


class ValidPixels(TypedDict):
    """Valid pixels of an image.

    Attributes:
        pixels: Their number.
        fraction: Their share of the image.
    """

    pixels: _Whole
    fraction: _Fraction


class RunLengths(TypedDict):
    """Pixels of a class as COCO run lengths, which pycocotools reads.

    Attributes:
        size: Height and width.
        counts: Lengths of the runs down the columns, in COCO's compressed form.
    """

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str


class SegmentedClass(TypedDict):
    """Pixels of a class.

    Attributes:
        id: Label of the class.
        name: Name for people.
        color: Display colour, `#rrggbb`.
        pixels: Number of pixels.
        fraction: Share of the valid pixels.
        area_m2: Area on the ellipsoid, if the place of the image is known.
        segmentation: Where the pixels are.
    """

    id: Annotated[int, Field(ge=0, le=254)]
    name: str
    color: _Color
    pixels: _Whole
    fraction: _Fraction
    area_m2: NotRequired[float]
    segmentation: RunLengths


class AnswerWarning(TypedDict):
    """Reason why an answer may be wrong.

    Attributes:
        code: Stable name of the kind, for programs.
        message: One or two sentences for people.
    """

    code: str
    message: str


class Timings(TypedDict):
    """Milliseconds of the stages of a request.

    Attributes:
        decode: Reading of image and mask.
        queue: Wait until the first window runs.
        infer: From the start of the first window to the end of the last.
    """

    decode: NotRequired[float]
    queue: NotRequired[float]
    infer: NotRequired[float]


class Segmentation(TypedDict):
    """Segmentation of an image: areas of the classes, and where they are.

    Attributes:
        model: Model that has answered.
        size: Size of the image.
        georeference: Place of the image, if its file tells one.
        valid: Valid pixels.
        classes: Pixels of each class, class 0 first.
        warnings: Reasons why the answer may be wrong.
        timings_ms: Milliseconds of each stage.
    """

    model: AnsweringModel
    size: ImageSize
    georeference: NotRequired[Georeference]
    valid: ValidPixels
    classes: list[SegmentedClass]
    warnings: list[AnswerWarning]
    timings_ms: Timings


SCHEMAS = (Segmentation, RegionCollection)

EXAMPLE: Any = {
    "model": {"name": "groundcover", "version": "1"},
    "size": {"height": 2, "width": 3},
    "valid": {"pixels": 5, "fraction": 0.8333333333333334},
    "classes": [
        {
            "id": 0,
            "name": "grass",
            "color": "#66a61e",
            "pixels": 0,
            "fraction": 0.0,
            "segmentation": {"size": [2, 3], "counts": "6"},
        },
        {
            "id": 1,
            "name": "gravel",
            "color": "#7570b3",
            "pixels": 5,
            "fraction": 1.0,
            "segmentation": {"size": [2, 3], "counts": "0113"},
        },
    ],
    "warnings": [],
    "timings_ms": {"decode": 2.9, "queue": 0.1, "infer": 31.4},
}
"""Segmentation as JSON."""

MEASURES = ("Server-Timing", "Lacuna-Computed-Pixels", "X-Lacuna-Warnings")
"""Headers of every answer with segmentations."""


def describe_segmentation(*others: type) -> Object:
    """Return the answer with a segmentation in each type.

    Args:
        *others: further types that JSON may have.
    """
    lines = ["By `Accept`:", ""]
    content = describe_json(refer(Segmentation, *others), EXAMPLE)
    for media_type in MEDIA_TYPES:
        kind = find_by_media_type(media_type)
        lines.append(f"- `{media_type}`: {kind.holds}")
        if kind is not DEFAULT_TYPE:
            content[media_type] = {"schema": BINARY}
    content[_GEOJSON] = {"schema": refer(RegionCollection)}
    return describe_answer("\n".join(lines), content, *MEASURES)
