"""Networks in SavedModels: one signature of one image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from model.adopt.freezing import describe, freeze, make_runner
from model.adopt.source import (
    AdoptionError,
    Source,
    check_image,
    check_scores,
    choose_tensor,
    first_line,
)

GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")
_USUAL = ("serving_default", "default", "serve")


def read_saved_model(
    folder: Path, *, scores: str | None = None, signature: str | None = None
) -> Source:
    """Read a network.

    Args:
        folder: with `saved_model.pb`.
        scores: name of the output with the scores; None for the only one.
        signature: name of the signature; None for the usual one, or the only one.

    Raises:
        AdoptionError: if it cannot be read, or is no network from one image to scores.
    """
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        raise AdoptionError(
            f"{folder.name} must load in TensorFlow {tf.__version__}; {first_line(error)}"
        ) from error
    function = _choose_signature(loaded.signatures, signature)
    arguments = function.structured_input_signature[1]
    image = choose_tensor([describe(spec, name) for name, spec in arguments.items()], "input", None)
    check_image(image)
    outputs = [describe(spec, name) for name, spec in function.structured_outputs.items()]
    chosen = choose_tensor(outputs, "output", scores)
    check_scores(chosen)
    index = sorted(function.structured_outputs).index(chosen.name)  # as tf.nest orders them
    frozen = freeze(function, index)
    return Source("SavedModel", image, chosen, make_runner(frozen, image.dtype), frozen)


def _choose_signature(signatures: Mapping[str, Any], name: str | None) -> Any:
    have = ", ".join(sorted(signatures)) or "none"
    if name is not None:
        if name not in signatures:
            raise AdoptionError(f"the signature {name} must be one of the model's; they are {have}")
        return signatures[name]
    for usual in _USUAL:
        if usual in signatures:
            return signatures[usual]
    if len(signatures) != 1:
        raise AdoptionError(
            f"a SavedModel must have one signature, or --signature must name it; it has {have}"
        )
    return next(iter(signatures.values()))
