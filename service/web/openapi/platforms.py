"""Routes of Amazon SageMaker and of Vertex AI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from pydantic import Field

from service.web.openapi.errors import describe_problems
from service.web.openapi.health import describe_ping
from service.web.openapi.operations import Object, Operation, describe_json, describe_parameter
from service.web.openapi.parameters import SEGMENT_QUERY
from service.web.openapi.prediction import (
    COLUMNS,
    ROWS,
    ColumnPredictions,
    PredictColumns,
    PredictRows,
    RowPredictions,
)
from service.web.openapi.results import describe_segmentation
from service.web.openapi.schemas import refer
from service.web.openapi.segmentation import EXAMPLE, SegmentRequest, list_bodies

_Parameters = Annotated[
    dict[str, Any], Field(description="Parameters of `/v1/segment`, and `signature_name`.")
]


class InvocationRows(PredictRows):
    """Images row by row, with parameters.

    Attributes:
        instances: Inputs of each image; an image alone if it has no mask.
    """

    parameters: NotRequired[_Parameters]


class InvocationColumns(PredictColumns):
    """Images by columns, with parameters.

    Attributes:
        inputs: Images and masks; the images alone if there are no masks.
    """

    parameters: NotRequired[_Parameters]


SCHEMAS = (InvocationRows, InvocationColumns)


def _describe_invocation(name: str, parameters: Sequence[Object]) -> Operation:
    body = describe_json(
        refer(SegmentRequest, InvocationRows, InvocationColumns),
        image=EXAMPLE,
        rows=ROWS,
        columns=COLUMNS,
    )
    return Operation(
        name,
        "Segment an image as in `/v1/segment`, or `instances` as in TensorFlow Serving",
        {
            200: describe_segmentation(RowPredictions, ColumnPredictions),
            **describe_problems(400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504),
        },
        description="The answer has the form of the API whose body it is.",
        parameters=[*SEGMENT_QUERY, *parameters],
        body=list_bodies(body),
    )


SAGEMAKER_PING = describe_ping("ping")

SAGEMAKER_INVOKE = _describe_invocation(
    "invoke",
    [
        describe_parameter(
            "header",
            "X-Amzn-SageMaker-Custom-Attributes",
            {"type": "string"},
            'Parameters of `/v1/segment`, such as `nodata=0,bands="4,3,2"`.',
        )
    ],
)

VERTEX_PING = describe_ping("check_vertex_health")

VERTEX_PREDICT = _describe_invocation("predict_on_vertex", [])
