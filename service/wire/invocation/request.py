"""Parsing of requests to the one route of a hosting platform.

The body is one of `POST /v1/segment`; or a JSON object with `instances` or `inputs`, as in
TensorFlow Serving's API. Beside these the object may have `parameters`: those of `/v1/segment` and
`signature_name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from lacuna.errors import MalformedRequestError
from lacuna.raster.limits import ImageLimits
from service.wire.dialect import Body, ModelTarget
from service.wire.json_object import read_member, read_object
from service.wire.native.parameters import Parameters, merge_parameters
from service.wire.tfserving.request import PredictRequest, read_predict

# No body of `/v1/segment` has such a member; in a text, its quotes would be escaped.
_ROWS_OR_COLUMNS = re.compile(rb'"(?:instances|inputs)"\s*:')

_ATTRIBUTE = re.compile(r'([^,=\s"]+)[^\S,]*=[^\S,]*(?:"([^"]*)"|([^,"]*))')


def is_predict(body: Body) -> bool:
    """Return True if a JSON text has `instances` or `inputs`. It is not parsed."""
    return _ROWS_OR_COLUMNS.search(body) is not None


def parse_instances(body: Body, query: Mapping[str, str], limits: ImageLimits) -> PredictRequest:
    """Parse a request with `instances` or `inputs`.

    Args:
        body: whole body, decompressed.
        query: parameters outside of the body.
        limits: limits of the images.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    content = read_object(body, limits)
    given = dict(read_member(content, "parameters", dict, "the request") or {})
    if "signature_name" in given:
        if "signature_name" in content:
            raise MalformedRequestError(
                "signature_name must be in the request or in its parameters; it is in both"
            )
        content["signature_name"] = given.pop("signature_name")
    parameters = merge_parameters(query, given)
    if parameters.also:
        raise MalformedRequestError(
            "also must come with a body of /v1/segment; this one has instances or inputs"
        )
    request = read_predict(content, len(body), parameters.nodata, parameters.bands)
    return replace(
        request,
        target=_find_target(parameters),
        timeout_s=parameters.timeout_s,
        stretch=parameters.stretch,
        decodes_inline=request.decodes_inline and parameters.stretch == "none",
    )


def read_attributes(text: str | None) -> dict[str, str]:
    """Read parameters from a header of the form `nodata=0,bands="4,3,2"`.

    Args:
        text: value of the header; None for none. A value with a comma is quoted. Parts without an
            equals sign are ignored, because the header may also carry an id for traces.
    """
    found = (match.groups() for match in _ATTRIBUTE.finditer(text or ""))
    return {name: (value if quoted is None else quoted).strip() for name, quoted, value in found}


def _find_target(parameters: Parameters) -> ModelTarget:
    return ModelTarget(parameters.model, parameters.version)
