"""Writing the answer of `POST /v1/segment` in the type that the caller chose."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lacuna.raster import rle
from lacuna.raster.npy import labels_npy, labels_npz
from lacuna.raster.palette import labels_png
from lacuna.sample import INVALID_LABEL
from service.wire.dialect import Answer

JSON = "application/json"
PNG = "image/png"
NPY = "application/x-npy"
NPZ = "application/zip"


def wants_probabilities(media_type: str) -> bool:
    """Tell whether an answer of this type holds probabilities."""
    return media_type == NPZ


def render(answer: Answer, media_type: str) -> bytes:
    """Write an answer.

    Args:
        answer: what to tell.
        media_type: one of `MEDIA_TYPES`.
    """
    return _WRITERS[media_type](answer)


def summarize(answer: Answer) -> dict[str, Any]:
    """Give the JSON answer as JSON values.

    `classes[].fraction` is of the valid pixels; `classes[].segmentation` is COCO run-length
    encoding.
    """
    labels = answer.segmentations[0].labels
    pixels = np.bincount(labels.ravel(), minlength=256)
    valid = int(labels.size - pixels[INVALID_LABEL])
    return {
        "model": {"name": answer.model, "version": answer.version},
        "size": {"height": labels.shape[0], "width": labels.shape[1]},
        "valid": {"pixels": valid, "fraction": valid / labels.size},
        "classes": [
            {
                "id": entry.id,
                "name": entry.name,
                "color": entry.color,
                "pixels": int(pixels[entry.id]),
                "fraction": int(pixels[entry.id]) / max(valid, 1),
                "segmentation": rle.encode(labels == entry.id),
            }
            for entry in answer.manifest.classes
        ],
        "timings_ms": {
            stage: round(seconds * 1000, 3) for stage, seconds in answer.timings_s.items()
        },
    }


def _render_json(answer: Answer) -> bytes:
    return json.dumps(summarize(answer)).encode()


def _render_png(answer: Answer) -> bytes:
    colors = [entry.rgb for entry in answer.manifest.classes]
    return labels_png(answer.segmentations[0].labels, colors)


def _render_npy(answer: Answer) -> bytes:
    return labels_npy(answer.segmentations[0].labels)


def _render_npz(answer: Answer) -> bytes:
    probabilities = answer.segmentations[0].probabilities
    if probabilities is None:
        raise ValueError("an NPZ answer needs probabilities; the segmentation has none")
    return labels_npz(answer.segmentations[0].labels, probabilities)


_WRITERS: Mapping[str, Callable[[Answer], bytes]] = MappingProxyType(
    {JSON: _render_json, PNG: _render_png, NPY: _render_npy, NPZ: _render_npz}
)

MEDIA_TYPES = tuple(_WRITERS)
"""What an answer can be, the default first."""
