"""States and signatures of models by TensorFlow Serving's REST API."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.operations import MODEL, Operation, describe_success
from service.web.openapi.schemas import refer


class VersionReason(TypedDict):
    """Reason of a state.

    Attributes:
        error_code: `INTERNAL` if the version has failed, or else `OK`.
        error_message: Why it has failed, or waits; empty otherwise.
    """

    error_code: Literal["OK", "INTERNAL"]
    error_message: str


class VersionStatus(TypedDict):
    """State of a version.

    Attributes:
        version: The version.
        state: `END` if it has failed or is unloaded.
        status: Reason of the state.
    """

    version: str
    state: Literal["LOADING", "AVAILABLE", "UNLOADING", "END"]
    status: VersionReason


class ModelStatus(TypedDict):
    """State of each version of a model.

    Attributes:
        name: Name of the model.
        ready: Whether a version serves, as in KServe's V1 protocol.
        model_version_status: States, highest version first.
    """

    name: str
    ready: bool
    model_version_status: list[VersionStatus]


class SignatureSide(TypedDict):
    """Side of a tensor.

    Attributes:
        size: Number, as text; -1 stands for any.
        name: Empty.
    """

    size: str
    name: str


class SignatureShape(TypedDict):
    """Shape of a tensor.

    Attributes:
        dim: Sides.
        unknown_rank: False.
    """

    dim: list[SignatureSide]
    unknown_rank: bool


class SignatureTensor(TypedDict):
    """Tensor of a signature.

    Attributes:
        dtype: TensorFlow's name of the datatype.
        tensor_shape: Shape.
        name: Name of the tensor.
    """

    dtype: str
    tensor_shape: SignatureShape
    name: str


class SignatureDefinition(TypedDict):
    """Signature of a model.

    Attributes:
        inputs: Inputs by their names.
        outputs: Outputs by their names.
        method_name: `tensorflow/serving/predict`.
    """

    inputs: dict[str, SignatureTensor]
    outputs: dict[str, SignatureTensor]
    method_name: str


class SignatureMap(TypedDict):
    """Signatures of a model.

    Attributes:
        signature_def: Signatures by their names.
    """

    signature_def: dict[str, SignatureDefinition]


class SignatureMetadata(TypedDict):
    """Metadata of a model.

    Attributes:
        signature_def: Its signatures.
    """

    signature_def: SignatureMap


class SignatureModel(TypedDict):
    """Model that is described.

    Attributes:
        name: Name of the model.
        signature_name: Empty.
        version: Version of the model.
    """

    name: str
    signature_name: str
    version: str


class ModelSignatures(TypedDict):
    """Signatures of a model, as TensorFlow Serving tells them.

    Attributes:
        model_spec: Model that is described.
        metadata: Its metadata.
    """

    model_spec: SignatureModel
    metadata: SignatureMetadata


SCHEMAS = (ModelStatus, ModelSignatures)

_TENSOR = {
    "dtype": "DT_UINT8",
    "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    "name": "labels",
}

GET_STATUS = Operation(
    "get_model_status",
    "Return the state of each version of a model",
    {
        **describe_success(
            "States, highest version first.",
            refer(ModelStatus),
            {
                "name": "groundcover",
                "ready": True,
                "model_version_status": [
                    {
                        "version": "1",
                        "state": "AVAILABLE",
                        "status": {"error_code": "OK", "error_message": ""},
                    }
                ],
            },
        ),
        **describe_errors(401, 404, 500, 503),
    },
    parameters=[MODEL],
)

GET_SIGNATURES = Operation(
    "get_model_signatures",
    "Describe a model's signatures",
    {
        **describe_success(
            "Inputs and outputs of each signature.",
            refer(ModelSignatures),
            {
                "model_spec": {"name": "groundcover", "signature_name": "", "version": "1"},
                "metadata": {
                    "signature_def": {
                        "signature_def": {
                            "labels": {
                                "inputs": {},
                                "outputs": {"labels": _TENSOR},
                                "method_name": "tensorflow/serving/predict",
                            }
                        }
                    }
                },
            },
        ),
        **describe_errors(401, 404, 500, 503),
    },
    parameters=[MODEL],
)
