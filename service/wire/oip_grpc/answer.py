"""Rendering of `inference.ModelInferResponse`, with raw contents."""

from __future__ import annotations

import numpy as np

from lacuna.appearance.comparison import write_warnings
from service.interfaces.messages import find_message
from service.wire.dialect import Answer
from service.wire.message_fields import frame
from service.wire.oip.answer import find_datatype
from service.wire.oip.request import InferRequest
from service.wire.outputs import choose_output

_RAW = 6


def render_infer(request: InferRequest, answer: Answer) -> bytes:
    """Render an answer.

    Args:
        request: request to answer.
        answer: segmentations, all of equal size, with the planes that the request wants.
    """
    head = find_message("inference.ModelInferResponse")(
        model_name=answer.model, model_version=answer.version, id=request.id or ""
    )
    if answer.warnings:
        head.parameters["warnings"].string_param = write_warnings(answer.warnings)
    raw: list[bytes | memoryview] = []
    for output in request.outputs:
        arrays = [choose_output(segmentation, output.name) for segmentation in answer.segmentations]
        shape = (len(arrays), *arrays[0].shape)
        head.outputs.add(name=output.name, datatype=find_datatype(output.name), shape=shape)
        raw.append(frame(_RAW, sum([array.nbytes for array in arrays])))
        raw += [np.ascontiguousarray(array).data.cast("B") for array in arrays]
    return b"".join([head.SerializeToString(), *raw])
