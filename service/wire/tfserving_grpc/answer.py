"""Rendering of `tensorflow.serving.PredictResponse`, with `tensor_content`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.interfaces.messages import find_message
from service.wire.dialect import Answer
from service.wire.message_fields import frame
from service.wire.outputs import LABELS, choose_output
from service.wire.tfserving.request import PredictRequest

_OUTPUTS = 1
_KEY, _VALUE = 1, 2
_CONTENT = 4
_DT_FLOAT, _DT_UINT8 = 1, 4


def render_predict(request: PredictRequest, answer: Answer) -> bytes:
    """Render an answer.

    Args:
        request: request to answer.
        answer: segmentations, all of equal size, with probabilities if the request wants them.
    """
    head = find_message("tensorflow.serving.PredictResponse")()
    spec = head.model_spec
    spec.name, spec.signature_name = answer.model, request.signature
    spec.version.value = int(answer.version)
    parts: list[bytes | memoryview] = [head.SerializeToString()]
    for name in request.outputs:
        arrays = [choose_output(segmentation, name) for segmentation in answer.segmentations]
        parts += _frame_output(name, arrays)
    return b"".join(parts)


def _frame_output(name: str, arrays: list[NDArray[Any]]) -> list[bytes | memoryview]:
    """Return the parts of an entry of the map of outputs. The arrays are not copied."""
    tensor = find_message("tensorflow.TensorProto")(
        dtype=_DT_UINT8 if name == LABELS else _DT_FLOAT
    )
    for side in (len(arrays), *arrays[0].shape):
        tensor.tensor_shape.dim.add(size=side)
    content_bytes = sum([array.nbytes for array in arrays])
    described = tensor.SerializeToString() + frame(_CONTENT, content_bytes)
    key = frame(_KEY, len(name)) + name.encode()
    value = frame(_VALUE, len(described) + content_bytes)
    entry_bytes = len(key) + len(value) + len(described) + content_bytes
    raw = [np.ascontiguousarray(array).data.cast("B") for array in arrays]
    return [frame(_OUTPUTS, entry_bytes), key, value, described, *raw]
