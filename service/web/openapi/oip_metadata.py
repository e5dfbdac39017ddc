"""Metadata of the Open Inference Protocol: server, models and their configurations."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.operations import (
    MODEL,
    Operation,
    describe_success,
)
from service.web.openapi.schemas import refer


class ServerMetadata(TypedDict):
    """Description of the server.

    Attributes:
        name: `lacuna`.
        version: Version of the server.
        extensions: Names of the supported extensions of the protocol.
    """

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(TypedDict):
    """Description of a tensor.

    Attributes:
        name: Name of the tensor.
        datatype: Datatype of the numbers.
        shape: Shape; -1 stands for any side.
    """

    name: str
    datatype: str
    shape: list[int]


class ModelProperties(TypedDict):
    """Further properties of a model.

    Attributes:
        image_pixels: Most pixels of an image.
        bands: Names of the channels, separated by commas, if they have names.
    """

    image_pixels: str
    bands: NotRequired[str]


class ModelMetadata(TypedDict):
    """Description of a model's inputs and outputs.

    Attributes:
        name: Name of the model.
        versions: Versions in service.
        platform: Format of the model.
        inputs: Tensors that it takes.
        outputs: Tensors that it returns.
        properties: Further properties.
    """

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    properties: ModelProperties


class ConfiguredInput(TypedDict):
    """Input of a model's configuration.

    Attributes:
        name: Name of the tensor.
        data_type: Datatype of the numbers, with the prefix `TYPE_`.
        dims: Shape of one image; -1 stands for any side.
        optional: Whether it may be missing.
    """

    name: str
    data_type: str
    dims: list[int]
    optional: bool


class ConfiguredOutput(TypedDict):
    """Output of a model's configuration.

    Attributes:
        name: Name of the tensor.
        data_type: Datatype of the numbers, with the prefix `TYPE_`.
        dims: Shape of one image; -1 stands for any side.
    """

    name: str
    data_type: str
    dims: list[int]


class ConfiguredValue(TypedDict):
    """Parameter of a model's configuration.

    Attributes:
        string_value: Its value.
    """

    string_value: str


class ModelConfig(TypedDict):
    """Configuration of a model, as load testers read it.

    Attributes:
        name: Name of the model.
        platform: Format of the model.
        backend: Library that runs it.
        max_batch_size: Most images of a request.
        input: Inputs.
        output: Outputs.
        parameters: Properties of the metadata, by their names.
    """

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[ConfiguredInput]
    output: list[ConfiguredOutput]
    parameters: dict[str, ConfiguredValue]


SCHEMAS = (ServerMetadata, ModelMetadata, ModelConfig)

_MODEL_ERRORS = describe_errors(401, 404, 500, 503)
_PLATFORM = "tensorflow_savedmodel"

GET_SERVER_METADATA = Operation(
    "get_server_metadata",
    "Describe the server",
    {
        **describe_success(
            "Name, version and extensions.",
            refer(ServerMetadata),
            {"name": "lacuna", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
        ),
        **describe_errors(401, 500, 503),
    },
)

GET_MODEL_METADATA = Operation(
    "get_model_metadata",
    "Describe a model's inputs and outputs",
    {
        **describe_success(
            "Inputs and outputs.",
            refer(ModelMetadata),
            {
                "name": "groundcover",
                "versions": ["1"],
                "platform": _PLATFORM,
                "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
                "outputs": [{"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]}],
                "properties": {"image_pixels": "16777216"},
            },
        ),
        **_MODEL_ERRORS,
    },
    parameters=[MODEL],
)

GET_MODEL_CONFIG = Operation(
    "get_model_config",
    "Return a model's configuration, for load testers",
    {
        **describe_success(
            "Configuration in Triton's form.",
            refer(ModelConfig),
            {
                "name": "groundcover",
                "platform": _PLATFORM,
                "backend": "tensorflow",
                "max_batch_size": 256,
                "input": [
                    {
                        "name": "image",
                        "data_type": "TYPE_UINT8",
                        "dims": [-1, -1, 3],
                        "optional": False,
                    }
                ],
                "output": [{"name": "labels", "data_type": "TYPE_UINT8", "dims": [-1, -1]}],
                "parameters": {"image_pixels": {"string_value": "16777216"}},
            },
        ),
        **_MODEL_ERRORS,
    },
    parameters=[MODEL],
)
