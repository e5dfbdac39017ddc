"""A client that openapi-python-client has generated, beside this file as the package `generated`.

python python_client.py URL, with the scene as JSON on standard input; the answers are written as
JSON.
"""

import base64
import io
import json
import sys
from itertools import chain

from generated import Client
from generated.api.models import list_models
from generated.api.open_inference_protocol import infer
from generated.api.segmentation import segment
from generated.api.tensor_flow_serving import predict
from generated.models import (
    InferRequest,
    PredictRows,
    Problem,
    Segmentation,
    SegmentForm,
    SegmentRequest,
)
from generated.types import File


def call(client, image, mask, png):
    """Call the server by each of its protocols, and return what it answers."""
    (model,) = list_models.sync(client=client).models
    body = SegmentRequest.from_dict({"image": image, "mask": mask})
    segmented = segment.sync(client=client, body=body)
    form = SegmentForm(image=File(io.BytesIO(png), "image.png", "image/png"))
    whole = segment.sync(client=client, body=form)
    assert isinstance(segmented, Segmentation)
    shape = [1, len(image), len(image[0]), 1]
    inputs = [
        {"name": "image", "datatype": "UINT8", "shape": shape, "data": [*chain(*image)]},
        {"name": "mask", "datatype": "BOOL", "shape": shape, "data": [*chain(*mask)]},
    ]
    tensors = InferRequest.from_dict({"inputs": inputs, "outputs": [{"name": "labels"}]})
    inferred = infer.sync(model.name, client=client, body=tensors)
    rows = {"instances": [{"image": image, "mask": mask}], "signature_name": "labels"}
    predicted = predict.sync(model.name, client=client, body=PredictRows.from_dict(rows))
    other = SegmentRequest.from_dict({"image": image, "model": "other"})
    refused = segment.sync_detailed(client=client, body=other)
    assert refused.status_code == 404
    assert isinstance(refused.parsed, Problem)
    return {
        "segmented": [entry.pixels for entry in segmented.classes],
        "whole": [entry.pixels for entry in whole.classes],
        "inferred": inferred.outputs[0].data,
        "predicted": predicted.to_dict(),
        "code": refused.parsed.code,
    }


def main(url):
    """Read the scene, and write the answers."""
    scene = json.load(sys.stdin)
    png = base64.b64decode(scene["png"])
    json.dump(call(Client(url), scene["image"], scene["mask"], png), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
