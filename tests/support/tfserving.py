"""Messages of TensorFlow Serving, made of arrays and read into arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.interfaces.messages import find_message

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"

# From tensorflow/core/framework/types.proto.
DT = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
DT_STRING, DT_BFLOAT16 = 7, 14


def make_tensor(array: np.ndarray[Any, Any]) -> Any:
    """Make a tensor whose numbers are bytes."""
    return make_shaped(DT[array.dtype.name], array.shape, tensor_content=array.tobytes())


def make_shaped(dtype: int, shape: tuple[int, ...], **fields: Any) -> Any:
    """Make a tensor of its fields."""
    tensor = find_message("tensorflow.TensorProto")(dtype=dtype, **fields)
    for side in shape:
        tensor.tensor_shape.dim.add(size=side)
    return tensor


def make_files(*files: bytes) -> Any:
    """Make a tensor of encoded files."""
    return make_shaped(DT_STRING, (len(files),), string_val=files)


def make_spec(message: str, model: str = "fake", **fields: Any) -> Any:
    """Make a message with a `model_spec`.

    Args:
        message: name of the message.
        model: name of the model.
        **fields: further fields of the message; `version`, `version_label` and `signature_name` are
            those of `model_spec`.
    """
    spec = {
        name: fields.pop(name)
        for name in ("version_label", "signature_name")
        if fields.get(name) is not None
    }
    version = fields.pop("version", None)
    made = find_message(f"tensorflow.serving.{message}")(**fields)
    made.model_spec.name = model
    for name, value in spec.items():
        setattr(made.model_spec, name, value)
    if version is not None:
        made.model_spec.version.value = version
    return made


def make_predict(image: Any, mask: Any = None, **fields: Any) -> Any:
    """Make a request of arrays, or of tensors."""
    request = make_spec("PredictRequest", **fields)
    for name, value in (("image", image), ("mask", mask)):
        if value is not None:
            tensor = make_tensor(value) if isinstance(value, np.ndarray) else value
            request.inputs[name].CopyFrom(tensor)
    return request


def read_outputs(answer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of an answer, by their names."""
    dtypes = {number: np.dtype(name) for name, number in DT.items()}
    return {
        name: np.frombuffer(tensor.tensor_content, dtypes[tensor.dtype]).reshape(
            [dim.size for dim in tensor.tensor_shape.dim]
        )
        for name, tensor in answer.outputs.items()
    }
