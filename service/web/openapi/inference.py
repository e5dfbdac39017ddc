"""`POST /v2/models/{name}/infer`, of the Open Inference Protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.operations import (
    MODEL,
    Operation,
    describe_answer,
    describe_json,
    describe_parameter,
)
from service.web.openapi.parameters import AlphaChoice
from service.web.openapi.results import MEASURES
from service.web.openapi.schemas import BINARY, refer
from service.wire.oip.request import HEADER_LENGTH

OutputName = TypeAliasType(
    "OutputName", Literal["labels", "probabilities", "confidence", "support"]
)
Datatype = TypeAliasType(
    "Datatype",
    Literal[
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FP16",
        "BF16",
        "FP32",
        "FP64",
    ],
)
_Side = Annotated[int, Field(ge=1)]
_Bytes = Annotated[int, Field(ge=0)]


class InferInputParameters(TypedDict):
    """Parameters of an input tensor.

    Attributes:
        binary_data_size: Bytes of the tensor among those that follow the JSON.
    """

    binary_data_size: NotRequired[_Bytes]


class InferInput(TypedDict):
    """Input tensor. Its data is in the JSON, or it has `binary_data_size`.

    Attributes:
        name: `image` or `mask`.
        datatype: Datatype of the numbers; a mask is BOOL or of integers.
        shape: N×H×W×C of an image; N×H×W or N×H×W×1 of a mask.
        parameters: Parameters of the tensor.
        data: Numbers, flat or nested, row-major; `null` is missing in floating point.
    """

    name: Literal["image", "mask"]
    datatype: Datatype
    shape: Annotated[list[_Side], Field(min_length=3, max_length=4)]
    parameters: NotRequired[InferInputParameters]
    data: NotRequired[list[Any]]


class InferOutputParameters(TypedDict):
    """Parameters of a requested output.

    Attributes:
        binary_data: Whether the tensor follows the JSON as raw bytes.
    """

    binary_data: NotRequired[bool]


class InferRequestedOutput(TypedDict):
    """Requested output.

    Attributes:
        name: Name of the output.
        parameters: Parameters of the output.
    """

    name: OutputName
    parameters: NotRequired[InferOutputParameters]


class InferParameters(TypedDict):
    """Parameters of a request.

    Attributes:
        timeout: Microseconds that the client will wait; 0 for no limit.
        priority: 1 runs first, larger numbers later; 0 means 2.
        bands: Channels of the images in order: numbers from 1, separated by commas.
        alpha: Band that is alpha, of tensors the last one or none.
        binary_data_output: Whether all outputs follow the JSON as raw bytes.
    """

    timeout: NotRequired[Annotated[int, Field(ge=0)]]
    priority: NotRequired[Annotated[int, Field(ge=0)]]
    bands: NotRequired[str]
    alpha: NotRequired[AlphaChoice]
    binary_data_output: NotRequired[bool]


class InferRequest(TypedDict):
    """Images, and masks of their valid pixels, as tensors.

    Attributes:
        id: Id that the answer repeats.
        parameters: Parameters of the request.
        inputs: An image, and a mask if not everything is valid.
        outputs: Requested outputs; by default all.
    """

    id: NotRequired[str]
    parameters: NotRequired[InferParameters]
    inputs: list[InferInput]
    outputs: NotRequired[list[InferRequestedOutput]]


class InferRawParameters(TypedDict):
    """Parameters of an answered tensor.

    Attributes:
        binary_data_size: Bytes of the tensor among those that follow the JSON.
    """

    binary_data_size: _Bytes


class InferOutput(TypedDict):
    """Answered tensor. Its data is in the JSON, or it has `binary_data_size`.

    Attributes:
        name: Name of the output.
        datatype: UINT8 for labels, of which 255 is invalid; FP32 for others.
        shape: N×H×W; of probabilities N×H×W×K.
        parameters: Parameters of the tensor.
        data: Numbers, flat, row-major.
    """

    name: OutputName
    datatype: Literal["UINT8", "FP32"]
    shape: Annotated[list[_Side], Field(min_length=3, max_length=4)]
    parameters: NotRequired[InferRawParameters]
    data: NotRequired[list[float]]


class InferAnswerParameters(TypedDict):
    """Parameters of an answer.

    Attributes:
        warnings: JSON array of objects with `code` and `message`, as text.
    """

    warnings: NotRequired[str]


class InferAnswer(TypedDict):
    """Segmentations as tensors.

    Attributes:
        model_name: Model that has answered.
        model_version: Its version.
        id: Id of the request, if it had one.
        parameters: Parameters of the answer, if there are warnings.
        outputs: Requested outputs.
    """

    model_name: str
    model_version: str
    id: NotRequired[str]
    parameters: NotRequired[InferAnswerParameters]
    outputs: list[InferOutput]


SCHEMAS = (InferRequest, InferAnswer)

_REQUEST = {
    "id": "42",
    "inputs": [
        {"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 1], "data": [10, 200]},
        {"name": "mask", "datatype": "BOOL", "shape": [1, 1, 2], "data": [True, False]},
    ],
    "outputs": [{"name": "labels"}],
}
_ANSWER = {
    "model_name": "groundcover",
    "model_version": "1",
    "id": "42",
    "outputs": [{"name": "labels", "datatype": "UINT8", "shape": [1, 1, 2], "data": [0, 255]}],
}

INFER = Operation(
    "infer",
    "Segment images of one size",
    {
        200: describe_answer(
            "Requested outputs, all in JSON; or those in binary after the JSON, whose length is in "
            f"`{HEADER_LENGTH}`.",
            {
                **describe_json(refer(InferAnswer), _ANSWER),
                "application/octet-stream": {"schema": BINARY},
            },
            HEADER_LENGTH,
            *MEASURES,
        ),
        **describe_errors(400, 401, 404, 408, 413, 415, 429, 500, 503, 504),
    },
    description="The body is JSON. With the binary extension the raw bytes of each input that has "
    "`binary_data_size` follow it, little-endian, in the order of `inputs`, and the header "
    f"`{HEADER_LENGTH}` is the length of the JSON.",
    parameters=[
        MODEL,
        describe_parameter(
            "header",
            HEADER_LENGTH,
            {"type": "integer", "minimum": 1},
            "Bytes of the JSON, if raw tensors follow it.",
        ),
    ],
    body={
        **describe_json(refer(InferRequest), _REQUEST),
        "application/octet-stream": {"schema": BINARY},
    },
)
