import grpc
import numpy as np
import pytest
import requests

from service.rpc.server import RpcServer
from tests.support.apps import load_repository, make_repository_folder, make_services
from tests.support.live import find_address, run_server
from tests.support.rpc import (
    connect,
    fail,
    make_infer,
    read_outputs,
    read_trailers,
)

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 256, (2, 9, 11, 1), np.uint8)
MASK = RNG.random((2, 9, 11)) < 0.7


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Host and port of HTTP, and a client of gRPC."""
    repository = load_repository(make_repository_folder(tmp_path_factory.mktemp("models")))
    services = make_services(repository)
    rpc = RpcServer(services, port=0)
    with run_server(services, other=rpc) as server:
        http = find_address(server)
        with connect(f"127.0.0.1:{rpc.ports[0]}") as stub:
            yield http, stub


@pytest.fixture
def stub(served):
    return served[1]


def test_live_and_ready(stub):
    assert stub.call("ServerLive").live
    assert stub.call("ServerReady").ready


def test_a_request_that_names_no_outputs_gets_all(stub):
    answer = stub.call("ModelInfer", make_infer(IMAGE, MASK, id="seven"))

    outputs = read_outputs(answer)
    assert (answer.model_name, answer.model_version, answer.id) == ("fake", "1", "seven")
    assert list(outputs) == ["labels", "probabilities", "confidence", "support"]
    assert outputs["labels"].shape == (2, 9, 11)
    assert outputs["probabilities"].shape[:3] == (2, 9, 11)
    assert ((outputs["labels"] == 255) == ~MASK).all()


def test_an_unknown_model_is_not_found(stub):
    error = fail(stub.call, "ModelInfer", make_infer(IMAGE, model_name="nobody"))

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "nobody" in error.details()
    assert read_trailers(error.trailing_metadata())["code"] == "unknown_model"


@pytest.mark.parametrize("sides", [(1, 1), (9, 11), (64, 64), (300, 257)])
def test_labels_are_those_of_rest(served, sides):
    http, stub = served
    image = np.random.default_rng(sides).integers(0, 256, (1, *sides, 1), np.uint8)
    mask = np.random.default_rng(sides).random((1, *sides)) < 0.7
    tensors = [
        {"name": name, "datatype": datatype, "shape": array.shape, "data": array.ravel().tolist()}
        for name, datatype, array in (("image", "UINT8", image), ("mask", "BOOL", mask))
    ]
    rest = requests.post(
        f"http://{http}/v2/models/fake/infer", json={"inputs": tensors}, timeout=30
    )

    outputs = read_outputs(stub.call("ModelInfer", make_infer(image, mask)))

    for output in rest.json()["outputs"]:
        expected = np.array(output["data"]).reshape(output["shape"])
        np.testing.assert_allclose(outputs[output["name"]], expected, atol=1e-7)
        if output["name"] == "labels":
            np.testing.assert_array_equal(outputs["labels"], expected)
