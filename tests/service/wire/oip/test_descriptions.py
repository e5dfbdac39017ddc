import pytest

from lacuna.errors import MalformedRequestError
from service.core.model_formats import ONNX, SAVED_MODEL
from service.core.statistics import BatchRecord, EngineStatistics, ModelStatistics
from service.engine.lifecycle.version_lifecycle import ModelState
from service.runtime.fake import FAKE_MANIFEST
from service.wire.oip.control import STATES, check_body, describe_index, wants_ready_only
from service.wire.oip.metadata import describe_config, describe_model, describe_server
from service.wire.oip.statistics import describe_statistics

VERSIONS = [("a", "1", "ready", ""), ("a", "2", "failed", "no graph"), ("b", "1", "warming", "")]


def test_the_server_says_what_it_can():
    server = describe_server("0.1.0")

    assert (server["name"], server["version"]) == ("lacuna", "0.1.0")
    assert {"binary_tensor_data", "statistics", "model_repository"} <= set(server["extensions"])


def test_a_model_says_what_it_takes_and_gives():
    assert describe_model("fake", ["1", "2"], SAVED_MODEL, FAKE_MANIFEST, 1000) == {
        "name": "fake",
        "versions": ["1", "2"],
        "platform": "tensorflow_savedmodel",
        "inputs": [
            {"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 1]},
            {"name": "mask", "datatype": "BOOL", "shape": [-1, -1, -1, 1]},
        ],
        "outputs": [
            {"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, -1, -1, 3]},
            {"name": "confidence", "datatype": "FP32", "shape": [-1, -1, -1]},
            {"name": "support", "datatype": "FP32", "shape": [-1, -1, -1]},
        ],
        "properties": {"image_pixels": "1000"},
    }


def test_platform_and_backend_are_those_of_the_models_format():
    metadata = describe_model("fake", ["1"], ONNX, FAKE_MANIFEST, 1000)
    config = describe_config("fake", ONNX, FAKE_MANIFEST, 1000)

    assert metadata["platform"] == config["platform"] == "onnxruntime_onnx"
    assert config["backend"] == "onnxruntime"


def test_a_configuration_has_no_batch_dimension_and_an_optional_mask():
    config = describe_config("fake", SAVED_MODEL, FAKE_MANIFEST, 1000)

    assert config["max_batch_size"] == 256
    assert config["input"][0]["dims"] == [-1, -1, 1]
    assert [entry["optional"] for entry in config["input"]] == [False, True]
    assert config["output"][1] == {
        "name": "probabilities",
        "data_type": "TYPE_FP32",
        "dims": [-1, -1, 3],
    }
    assert config["parameters"] == {"image_pixels": {"string_value": "1000"}}


def test_statistics_are_nanoseconds():
    statistics = ModelStatistics()
    timings_s = {"decode": 0.001, "queue": 0.002, "infer": 0.5, "encode": 0.003}
    statistics.count_success(1_700_000_000.5, 0.6, timings_s)
    statistics.fail.add(0.25)

    described = describe_statistics("fake", "1", statistics, EngineStatistics())

    assert described["last_inference"] == 1_700_000_000_500
    assert (described["response_stats"], described["memory_usage"]) == ({}, [])
    assert described["inference_stats"] == {
        "success": {"count": 1, "ns": 600_000_000},
        "fail": {"count": 1, "ns": 250_000_000},
        "queue": {"count": 1, "ns": 2_000_000},
        "compute_input": {"count": 1, "ns": 1_000_000},
        "compute_infer": {"count": 1, "ns": 500_000_000},
        "compute_output": {"count": 1, "ns": 3_000_000},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }


def test_executions_are_calls_told_by_their_batch_size():
    work = EngineStatistics(images=5)
    for windows, infer_s in [(4, 0.25), (1, 0.125), (4, 0.5)]:
        work.count_call(BatchRecord("fake", "1", windows, 64, 0.001, infer_s, 0.002))

    described = describe_statistics("fake", "1", ModelStatistics(), work)

    assert (described["inference_count"], described["execution_count"]) == (5, 3)
    assert described["batch_stats"] == [
        {
            "batch_size": 1,
            "compute_input": {"count": 1, "ns": 1_000_000},
            "compute_infer": {"count": 1, "ns": 125_000_000},
            "compute_output": {"count": 1, "ns": 2_000_000},
        },
        {
            "batch_size": 4,
            "compute_input": {"count": 2, "ns": 2_000_000},
            "compute_infer": {"count": 2, "ns": 750_000_000},
            "compute_output": {"count": 2, "ns": 4_000_000},
        },
    ]


def test_every_state_has_a_name_in_the_protocol():
    assert set(STATES) == {str(state) for state in ModelState}
    assert set(STATES.values()) <= {"READY", "LOADING", "UNLOADING", "UNAVAILABLE", "UNKNOWN"}


def test_the_index_lists_every_version():
    assert describe_index(VERSIONS, ready_only=False) == [
        {"name": "a", "version": "1", "state": "READY", "reason": ""},
        {"name": "a", "version": "2", "state": "UNAVAILABLE", "reason": "no graph"},
        {"name": "b", "version": "1", "state": "LOADING", "reason": ""},
    ]


def test_the_index_says_of_a_model_that_was_unloaded_that_it_was():
    (entry,) = describe_index([("a", "1", "unloaded", "")], ready_only=False)

    assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", "unloaded")


def test_the_index_lists_what_is_ready_if_asked_to():
    assert [entry["version"] for entry in describe_index(VERSIONS, ready_only=True)] == ["1"]


@pytest.mark.parametrize(
    ("body", "ready_only"),
    [(b"", False), (b"{}", False), (b'{"ready": false}', False), (b'{"ready": true}', True)],
)
def test_who_asks_for_the_index_may_say_nothing(body, ready_only):
    assert wants_ready_only(body) is ready_only


@pytest.mark.parametrize("body", [b"[]", b'{"ready": 1}', b"{"])
def test_a_bad_wish_is_refused(body):
    with pytest.raises(MalformedRequestError):
        wants_ready_only(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters":{"unload_dependents":false}}'])
def test_a_model_is_loaded_as_it_stands(body):
    check_body(body)


def test_a_model_that_is_brought_along_is_refused():
    with pytest.raises(
        MalformedRequestError, match="parameters that change the model; config, file:1 came"
    ):
        check_body(b'{"parameters": {"file:1": "AA==", "config": "{}"}}')
