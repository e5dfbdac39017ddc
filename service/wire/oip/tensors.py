"""Input tensors: datatypes, shapes, and data as JSON or raw bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.datatypes import DATATYPES
from lacuna.errors import MalformedRequestError

_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {"BOOL": np.dtype("u1"), **DATATYPES, "BF16": np.dtype("<u2")}
)
"""NumPy types of the raw bytes. BOOL and BF16, which NumPy lacks, are converted after reading."""

IMAGE_DATATYPES = tuple(name for name in _DTYPES if name != "BOOL")
MASK_DATATYPES = tuple(name for name in _DTYPES if "FP" not in name and "BF" not in name)

_VIEWED = frozenset({"BOOL", "UINT8", "UINT16", "FP32"})
"""Datatypes whose raw bytes are taken as they are."""

_CONVERTED_BYTES = 12
_FLATTENED_BYTES = 16
"""Bytes for each number of a tensor that is not."""

_BINARY_ONLY = ("FP16", "BF16")
_INTEGERS = frozenset({int})
_JSON_TYPES: Mapping[str, frozenset[type]] = MappingProxyType(
    {
        "BOOL": frozenset({bool, int}),
        "FP32": frozenset({int, float, type(None)}),
        "FP64": frozenset({int, float, type(None)}),
    }
)


@dataclass(frozen=True, eq=False)
class Tensor:
    """Input tensor, not yet decoded.

    Attributes:
        name: name of the input.
        datatype: datatype of the protocol, one that the input accepts.
        shape: shape, every side at least 1.
        data: raw bytes, exactly as many as the shape needs; or lists, nested or flat, of any
            length.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: memoryview | list[Any]

    def estimate_bytes(self) -> int:
        """Estimate the memory that decoding takes, in bytes."""
        is_raw = isinstance(self.data, memoryview)
        count = math.prod(self.shape)
        if is_raw and self.datatype in _VIEWED:
            return 0
        # Narrowed to float32 by way of an array of its own; lists are flattened before.
        return count * (_CONVERTED_BYTES if is_raw else _CONVERTED_BYTES + _FLATTENED_BYTES)

    def read(self) -> NDArray[Any]:
        """Decode the data.

        Returns:
            Array of the tensor's shape. BOOL becomes uint8, non-zero = true; null becomes NaN. Raw
            bytes are copied only for BF16.

        Raises:
            MalformedRequestError: if the lists hold values that do not fit the datatype, or their
                number does not match the shape.
        """
        if isinstance(self.data, memoryview):
            raw = np.frombuffer(self.data, _DTYPES[self.datatype]).reshape(self.shape)
            # A bfloat16 is the upper half of a float32.
            return (raw.astype("<u4") << 16).view("<f4") if self.datatype == "BF16" else raw
        return _read_lists(self, self.data)


def count_bytes(datatype: str, shape: tuple[int, ...]) -> int:
    """Return the size of a tensor's raw bytes."""
    return _DTYPES[datatype].itemsize * math.prod(shape)


def _read_lists(tensor: Tensor, data: list[Any]) -> NDArray[Any]:
    if tensor.datatype in _BINARY_ONLY:
        raise MalformedRequestError(
            f"data of {tensor.name} must be raw bytes if its datatype is {tensor.datatype}; "
            "it is JSON"
        )
    flat = _flatten(tensor, data)
    wrong = set(map(type, flat)) - _JSON_TYPES.get(tensor.datatype, _INTEGERS)
    if wrong:
        kind = min(kind.__name__ for kind in wrong)
        raise MalformedRequestError(
            f"data of {tensor.name} must be {tensor.datatype}; it holds a {kind}"
        )
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, _DTYPES[tensor.datatype]).reshape(tensor.shape)
    except (OverflowError, TypeError):
        raise MalformedRequestError(
            f"data of {tensor.name} must be in the range of {tensor.datatype}; a number is not"
        ) from None


def _flatten(tensor: Tensor, data: list[Any]) -> list[Any]:
    """Return the values of lists as one flat list. They must be flat or nested like the shape."""
    flat = data
    for side in tensor.shape[1:]:
        if not flat or type(flat[0]) is not list:
            break
        if {len(part) if type(part) is list else -1 for part in flat} != {side}:
            raise MalformedRequestError(
                f"data of {tensor.name} must be flat or nested like its shape "
                f"{list(tensor.shape)}; it is ragged or has another shape"
            )
        flat = list(chain.from_iterable(flat))
    count = math.prod(tensor.shape)
    if len(flat) != count:
        raise MalformedRequestError(
            f"data of {tensor.name} must hold {count} numbers, for its shape "
            f"{list(tensor.shape)}; it holds {len(flat)}"
        )
    return flat
