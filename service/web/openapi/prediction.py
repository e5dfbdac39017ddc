"""Segmentation by TensorFlow Serving's REST API."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.images import EncodedFile, MaskValues, PixelValues
from service.web.openapi.operations import MODEL, Operation, describe_answer, describe_json
from service.web.openapi.results import MEASURES
from service.web.openapi.schemas import refer

SignatureName = TypeAliasType("SignatureName", Literal["serving_default", "labels"])
_Signature = Annotated[
    SignatureName | None,
    Field(
        description="`serving_default` for labels and probabilities, which is the default, or "
        "`labels` for labels alone."
    ),
]
_Labels = Annotated[
    list[list[int]], Field(description="Rows of labels; 255 stands for an invalid pixel.")
]
_Probabilities = Annotated[
    list[list[list[float]]],
    Field(description="Rows of pixels with the probability of each class; 0 where invalid."),
]
_Image = PixelValues | EncodedFile
_Mask = MaskValues | EncodedFile


class InputRow(TypedDict):
    """Inputs of one image.

    Attributes:
        image: Rows of pixels, or a file in base64.
        mask: Rows of pixels, or a file in base64; null counts as missing.
    """

    image: _Image
    mask: NotRequired[_Mask | None]


class InputColumns(TypedDict):
    """Inputs of all images, by their names.

    Attributes:
        image: Image after image.
        mask: Mask after mask, as many as images; null counts as missing.
    """

    image: list[_Image]
    mask: NotRequired[list[_Mask | None] | None]


class PredictRows(TypedDict):
    """Images row by row. Their sizes may differ.

    Attributes:
        instances: Inputs of each image; an image alone if it has no mask.
    """

    signature_name: NotRequired[_Signature]
    instances: Annotated[list[InputRow | PixelValues | EncodedFile], Field(max_length=256)]


class PredictColumns(TypedDict):
    """Images by columns.

    Attributes:
        inputs: Images and masks; the images alone if there are no masks.
    """

    signature_name: NotRequired[_Signature]
    inputs: InputColumns | list[_Image]


class Prediction(TypedDict):
    """Segmentation of one image."""

    labels: _Labels
    probabilities: _Probabilities


class PredictionColumns(TypedDict):
    """Segmentations of all images, by outputs.

    Attributes:
        labels: Labels of each image.
        probabilities: Probabilities of each image.
    """

    labels: list[_Labels]
    probabilities: list[_Probabilities]


class RowPredictions(TypedDict):
    """Answer to images row by row.

    Attributes:
        predictions: Segmentation of each image; labels alone with the signature `labels`.
    """

    predictions: list[Prediction | _Labels]


class ColumnPredictions(TypedDict):
    """Answer to images by columns.

    Attributes:
        outputs: Segmentations by outputs; labels alone with the signature `labels`.
    """

    outputs: PredictionColumns | list[_Labels]


SCHEMAS = (
    PredictRows,
    PredictColumns,
    RowPredictions,
    ColumnPredictions,
)

ROWS = {
    "instances": [{"image": [[10, 200]], "mask": [[True, False]]}],
    "signature_name": "labels",
}
"""Request row by row."""

COLUMNS = {"inputs": {"image": [[[10, 200]]], "mask": [[[1, 0]]]}, "signature_name": "labels"}
"""Request by columns."""

PREDICT = Operation(
    "predict",
    "Segment images",
    {
        200: describe_answer(
            "Segmentations by rows or by columns, like the request.",
            describe_json(
                refer(RowPredictions, ColumnPredictions),
                rows={"predictions": [[[0, 255]]]},
                columns={"outputs": [[[0, 255]]]},
            ),
            *MEASURES,
        ),
        **describe_errors(400, 401, 404, 408, 413, 415, 429, 500, 503, 504),
    },
    parameters=[MODEL],
    body=describe_json(refer(PredictRows, PredictColumns), rows=ROWS, columns=COLUMNS),
)
