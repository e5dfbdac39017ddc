import pytest

from service.engine.lifecycle.version_lifecycle import ModelState
from service.runtime.fake import FAKE_MANIFEST
from service.wire.tfserving.metadata import describe_metadata, describe_status


def test_the_status_lists_every_version_the_newest_first():
    versions = [("1", "ready", ""), ("2", "failed", "no graph"), ("3", "warming", "")]

    assert describe_status("m", versions) == {
        "name": "m",
        "ready": True,
        "model_version_status": [
            {
                "version": "3",
                "state": "LOADING",
                "status": {"error_code": "OK", "error_message": ""},
            },
            {
                "version": "2",
                "state": "END",
                "status": {"error_code": "INTERNAL", "error_message": "no graph"},
            },
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            },
        ],
    }


@pytest.mark.parametrize(
    ("states", "ready"), [(["ready"], True), (["ready", "loading"], True), (["failed"], False)]
)
def test_a_model_is_ready_if_a_version_serves(states, ready):
    versions = [(str(number), state, "") for number, state in enumerate(states)]

    assert describe_status("m", versions)["ready"] is ready


def test_every_state_has_a_name_in_the_protocol():
    described = describe_status("m", [("1", str(state), "") for state in ModelState])

    assert {entry["state"] for entry in described["model_version_status"]} <= {
        "START",
        "LOADING",
        "AVAILABLE",
        "UNLOADING",
        "END",
    }


def test_metadata_are_those_of_the_saved_model():
    described = describe_metadata("fake", "1", FAKE_MANIFEST)
    signatures = described["metadata"]["signature_def"]["signature_def"]

    assert described["model_spec"] == {"name": "fake", "signature_name": "", "version": "1"}
    assert set(signatures) == {"serving_default", "labels"}
    assert set(signatures["serving_default"]["outputs"]) == {"labels", "probabilities"}
    assert set(signatures["labels"]["outputs"]) == {"labels"}
    assert signatures["labels"]["inputs"]["mask"] == {
        "dtype": "DT_BOOL",
        "tensor_shape": {
            "dim": [{"size": size, "name": ""} for size in ("-1", "-1", "-1", "1")],
            "unknown_rank": False,
        },
        "name": "mask",
    }
