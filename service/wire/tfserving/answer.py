"""Rendering of the answers of `POST /v1/models/{name}:predict`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lacuna.sample import Segmentation
from service.wire.json_numbers import write_nested
from service.wire.outputs import choose_output
from service.wire.tfserving.request import PredictRequest


def render_predict(request: PredictRequest, segmentations: Sequence[Segmentation]) -> bytes:
    """Render an answer by rows or by columns, like the request.

    Args:
        request: request to answer.
        segmentations: one per image, with probabilities if the request wants them.
    """
    rows = [
        {name: write_nested(choose_output(segmentation, name)) for name in request.outputs}
        for segmentation in segmentations
    ]
    if request.by_rows:
        return b'{"predictions":' + _list(map(_write, rows)) + b"}"
    columns = {name: _list(row[name] for row in rows) for name in request.outputs}
    return b'{"outputs":' + _write(columns) + b"}"


def _write(values: dict[str, bytes]) -> bytes:
    """Return the value of a single output, or an object with several outputs by name."""
    if len(values) == 1:
        return next(iter(values.values()))
    members = (b'"' + name.encode() + b'":' + value for name, value in values.items())
    return b"{" + b",".join(members) + b"}"


def _list(values: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(values) + b"]"
