"""Formats of models: the files that they are recognized by, and the library that runs them."""

from __future__ import annotations

from typing import NamedTuple


class ModelFormat(NamedTuple):
    """Format of a model.

    Attributes:
        files: Names of the file that holds the graph, in a version's folder; the usual one first.
        library: Name of the library that runs it.
        distributions: Distributions that bring the library. Answers and times depend on their
            versions.
        platform: Name by the Open Inference Protocol.
        backend: Name of the library by the same protocol.
    """

    files: tuple[str, ...]
    library: str
    distributions: tuple[str, ...]
    platform: str
    backend: str


SAVED_MODEL = ModelFormat(
    files=("saved_model.pb", "saved_model.pbtxt"),
    library="TensorFlow",
    distributions=("tensorflow", "tensorflow-cpu"),
    platform="tensorflow_savedmodel",
    backend="tensorflow",
)
ONNX = ModelFormat(
    files=("model.onnx",),
    library="ONNX Runtime",
    distributions=("onnxruntime",),
    platform="onnxruntime_onnx",
    backend="onnxruntime",
)

FORMATS = (SAVED_MODEL, ONNX)
"""All formats."""

USUAL_FILES = " or ".join(known.files[0] for known in FORMATS)
"""Names of the files that hold graphs, for people."""
