"""Metadata of a model as messages, from the same contents as in JSON."""

from __future__ import annotations

from collections.abc import Iterable

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import list_names
from service.interfaces.messages import encode
from service.runtime.manifest import Manifest
from service.wire.dialect import ModelTarget
from service.wire.messages import decode_short
from service.wire.tfserving.metadata import describe_metadata, describe_status
from service.wire.tfserving_grpc.request import read_target

_SIGNATURES = "signature_def"
_TYPE_PREFIX = "type.googleapis.com/"


def parse_metadata_request(message: bytes) -> ModelTarget:
    """Parse a `GetModelMetadataRequest`.

    Raises:
        MalformedRequestError: if it is none, names no model, or wants anything but signatures.
    """
    request = decode_short("tensorflow.serving.GetModelMetadataRequest", message)
    wanted = list(request.metadata_field)
    if wanted != [_SIGNATURES]:
        raise MalformedRequestError(
            f"metadata_field must be {_SIGNATURES}; it is {list_names(wanted)}"
        )
    return read_target(request.model_spec)


def render_metadata(name: str, version: str, manifest: Manifest) -> bytes:
    """Render a `GetModelMetadataResponse`; see `describe_metadata`."""
    content = describe_metadata(name, version, manifest)
    kind = {"@type": f"{_TYPE_PREFIX}tensorflow.serving.SignatureDefMap"}
    content["metadata"][_SIGNATURES] |= kind
    return encode("tensorflow.serving.GetModelMetadataResponse", content)


def parse_status_request(message: bytes) -> ModelTarget:
    """Parse a `GetModelStatusRequest`.

    Raises:
        MalformedRequestError: if it is none, or names no model.
    """
    return read_target(decode_short("tensorflow.serving.GetModelStatusRequest", message).model_spec)


def render_status(name: str, versions: Iterable[tuple[str, str, str]]) -> bytes:
    """Render a `GetModelStatusResponse`; see `describe_status`."""
    return encode("tensorflow.serving.GetModelStatusResponse", describe_status(name, versions))
