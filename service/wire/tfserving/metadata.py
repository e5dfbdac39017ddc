"""Metadata of a model: the states of its versions, and its signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from lacuna.planes import PROBABILITIES
from service.runtime.manifest import Manifest
from service.wire.outputs import LABELS
from service.wire.tfserving.request import SIGNATURES

_STATES: Mapping[str, str] = MappingProxyType(
    {
        "loading": "LOADING",
        "warming": "LOADING",
        "ready": "AVAILABLE",
        "unloading": "UNLOADING",
        "failed": "END",
        "unloaded": "END",
    }
)
"""States of a version, by the protocol's names."""

_METHOD = "tensorflow/serving/predict"


def describe_status(name: str, versions: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the answer to `GET /v1/models/{name}`.

    Besides the states of TensorFlow Serving it has `name` and `ready` of KServe's V1 protocol.

    Args:
        name: name of the model.
        versions: version, state and reason of each version, lowest first.
    """
    known = list(versions)
    described = [
        {
            "version": version,
            "state": _STATES[state],
            "status": {
                "error_code": "INTERNAL" if state == "failed" else "OK",
                "error_message": reason,
            },
        }
        for version, state, reason in known
    ]
    return {
        "name": name,
        "ready": any(state == "ready" for _, state, _ in known),
        "model_version_status": described[::-1],
    }


def describe_metadata(name: str, version: str, manifest: Manifest) -> dict[str, Any]:
    """Return the answer to `GET /v1/models/{name}/metadata`.

    Args:
        name: name of the model.
        version: version of the model.
        manifest: manifest of that version.
    """
    inputs = {
        "image": _describe("image", "DT_FLOAT", [-1, -1, -1, manifest.image.channels]),
        "mask": _describe("mask", "DT_BOOL", [-1, -1, -1, 1]),
    }
    outputs = {
        LABELS: _describe(LABELS, "DT_UINT8", [-1, -1, -1]),
        PROBABILITIES: _describe(PROBABILITIES, "DT_FLOAT", [-1, -1, -1, len(manifest.classes)]),
    }
    signatures = {
        signature: {
            "inputs": inputs,
            "outputs": {output: outputs[output] for output in names},
            "method_name": _METHOD,
        }
        for signature, names in SIGNATURES.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _describe(name: str, dtype: str, sides: list[int]) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "tensor_shape": {
            "dim": [{"size": str(side), "name": ""} for side in sides],
            "unknown_rank": False,
        },
        "name": name,
    }
