"""The distribution that users install: its version, and the commands that install its extras."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

VERSION = "0.1.0"

Extra = Literal[
    "compare", "formats", "geo", "grpc", "onnx", "otel", "ray", "serve", "train", "vector"
]

# In a clone the extras come from lock files, with hashes.
_IN_A_CLONE: Mapping[Extra, str] = MappingProxyType(
    {
        "compare": "make train-setup",
        "formats": "make setup",
        "geo": "make setup",
        "grpc": "make setup",
        "onnx": "make setup",
        "otel": "make setup",
        "ray": "make ray-setup",
        "serve": "make setup",
        "train": "make train-setup",
        "vector": "make train-setup",
    }
)

_OF_MODULES: Mapping[str, Extra] = MappingProxyType(
    {
        "cv2": "compare",
        "imagecodecs": "formats",
        "tifffile": "formats",
        "rasterio": "geo",
        "shapely": "geo",
        "grpc": "grpc",
        "onnxruntime": "onnx",
        "ray": "ray",
        "pyarrow": "vector",
        "pyogrio": "vector",
    }
)


def find_extra(module: str) -> Extra | None:
    """Return the extra that installs a module of this package's own; None if none does."""
    return _OF_MODULES.get(module.partition(".")[0])


def describe_extra(extra: Extra) -> str:
    """Return the commands that install an extra, for users and for those who have a clone."""
    return f"pip install 'lacuna-segmentation[{extra}]'; in a clone: {_IN_A_CLONE[extra]}"
