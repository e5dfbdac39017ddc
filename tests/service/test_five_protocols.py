"""Native, the Open Inference Protocol and TensorFlow Serving, over HTTP and gRPC: one answer."""

import io
import json
from typing import NamedTuple

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.raster.npy import write_npy
from tests.support import rpc, tfserving
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.runtimes import Unsure

DATATYPES = {
    "uint8": "UINT8",
    "uint16": "UINT16",
    "int16": "INT16",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
INFER, PREDICT = "/v2/models/fake/infer", "/v1/models/fake:predict"
DECIMALS = 8
"""Decimals of probabilities in JSON."""


class Answer(NamedTuple):
    """Labels uint8 (N, H, W) and probabilities (N, H, W, K)."""

    labels: np.ndarray
    probabilities: np.ndarray


class Server(NamedTuple):
    """Clients of a server, and its model."""

    http: httpx2.Client
    oip: rpc.Stub
    tfserving: rpc.Stub
    model: Unsure


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    model = Unsure()
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    services = make_services(load_repository(root, lambda _: model))
    with (
        rpc.serve_both(services) as (http, address),
        httpx2.Client(base_url=f"http://{http}") as client,
        rpc.connect(address) as oip,
        rpc.connect(address, tfserving.PREDICTION) as prediction,
    ):
        yield Server(client, oip, prediction, model)


def ask_native(server, images, masks):
    found = []
    for image, mask in zip(images, masks, strict=True):
        response = server.http.post(
            "/v1/segment",
            files={"image": write_npy(image), "mask": write_npy(mask)},
            headers={"Accept": "application/zip"},
        )
        with np.load(io.BytesIO(response.content)) as planes:
            found.append((planes["labels"], planes["probabilities"]))
    return Answer(*(np.stack(planes) for planes in zip(*found, strict=True)))


def ask_oip(server, images, masks):
    tensors = {"image": (images, DATATYPES[images.dtype.name]), "mask": (masks, "BOOL")}
    inputs = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": datatype,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, (array, datatype) in tensors.items()
    ]
    text = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    response = server.http.post(
        INFER,
        content=text + images.tobytes() + masks.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(text))},
    )
    start = int(response.headers["inference-header-content-length"])
    found = {}
    for output in json.loads(response.content[:start])["outputs"]:
        end = start + output["parameters"]["binary_data_size"]
        dtype = {"UINT8": np.uint8, "FP32": np.float32}[output["datatype"]]
        found[output["name"]] = np.frombuffer(response.content[start:end], dtype).reshape(
            output["shape"]
        )
        start = end
    return Answer(found["labels"], found["probabilities"])


def ask_oip_over_grpc(server, images, masks):
    request = rpc.make_infer(images, masks)
    request.inputs[0].datatype = DATATYPES[images.dtype.name]
    found = rpc.read_outputs(server.oip.call("ModelInfer", request))
    return Answer(found["labels"], found["probabilities"])


def ask_tfserving(server, images, masks):
    columns = {"image": images.tolist(), "mask": masks.tolist()}
    response = server.http.post(PREDICT, json={"inputs": columns})
    found = response.json()["outputs"]
    return Answer(np.array(found["labels"]), np.array(found["probabilities"]))


def ask_tfserving_over_grpc(server, images, masks):
    request = tfserving.make_predict(images, masks)
    found = tfserving.read_outputs(server.tfserving.call("Predict", request))
    return Answer(found["labels"], found["probabilities"])


@st.composite
def batches(draw):
    """Draw images (N, H, W, 1) of any datatype and masks bool (N, H, W)."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(sorted(DATATYPES)))
    masks = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    return rng.integers(0, 256, (*shape, 1)).astype(dtype), masks


@given(batches())
def test_every_protocol_gives_the_same_labels_and_probabilities(server, batch):
    images, masks = batch
    expected = [
        Unsure().run(
            np.where(mask[..., None], image, 0)[None].astype(np.float32),
            mask[None],
            probabilities=True,
        )
        for image, mask in zip(images, masks, strict=True)
    ]
    labels = np.concatenate([output.labels for output in expected])
    probabilities = np.concatenate([output.probabilities for output in expected])

    for ask in (ask_native, ask_oip, ask_oip_over_grpc, ask_tfserving_over_grpc):
        found = ask(server, images, masks)
        assert np.array_equal(found.labels, labels), ask.__name__
        assert np.array_equal(found.probabilities, probabilities), ask.__name__
    found = ask_tfserving(server, images, masks)
    assert np.array_equal(found.labels, labels)
    assert np.allclose(found.probabilities, probabilities, rtol=0, atol=10**-DECIMALS)


NAMED = {"outputs": [{"name": "labels"}]}
TENSOR = {"name": "image", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [0, 9, 9, 0]}
ONE = np.array([[[[0], [9]], [[9], [0]]]], np.uint8)


@pytest.mark.parametrize(
    "ask",
    [
        lambda server: server.http.post(INFER, json={"inputs": [TENSOR], **NAMED}),
        lambda server: server.oip.call(
            "ModelInfer", rpc.name_outputs(rpc.make_infer(ONE), "labels")
        ),
        lambda server: server.http.post(
            PREDICT, json={"instances": ONE.tolist(), "signature_name": "labels"}
        ),
        lambda server: server.tfserving.call(
            "Predict", tfserving.make_predict(ONE, output_filter=["labels"])
        ),
    ],
    ids=["oip", "oip-grpc", "tfserving", "tfserving-grpc"],
)
def test_a_request_for_labels_computes_no_probabilities(server, ask):
    ask(server)

    assert server.model.asked[-1] is False
