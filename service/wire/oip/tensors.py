"""Input tensors: datatypes, shapes, and numbers that come as JSON or as raw bytes."""

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
"""Dtypes of the raw bytes. NumPy has no such BOOL and no BF16; both are converted afterwards."""

IMAGE_DATATYPES = tuple(name for name in _DTYPES if name != "BOOL")
MASK_DATATYPES = tuple(name for name in _DTYPES if "FP" not in name and "BF" not in name)

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
    """An input, not yet looked at.

    Attributes:
        name: of the input.
        datatype: of the protocol, one of those that the input may have.
        shape: every side at least 1.
        data: raw bytes, as many as the shape takes; or lists, nested or flat, of any length.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: memoryview | list[Any]

    def read(self) -> NDArray[Any]:
        """Give the numbers.

        Returns:
            Of the tensor's shape. Raw bytes are not copied but for BOOL and BF16; BOOL comes as
            uint8, in which all but 0 is true; null as NaN.

        Raises:
            MalformedRequestError: if lists hold anything but numbers of the datatype, or not as
                many as the shape takes.
        """
        if isinstance(self.data, memoryview):
            raw = np.frombuffer(self.data, _DTYPES[self.datatype]).reshape(self.shape)
            # A bfloat16 is the upper half of a float32.
            return (raw.astype("<u4") << 16).view("<f4") if self.datatype == "BF16" else raw
        return _read_lists(self, self.data)


def count_bytes(datatype: str, shape: tuple[int, ...]) -> int:
    """Give the number of bytes that a tensor's raw form has."""
    return _DTYPES[datatype].itemsize * math.prod(shape)


def _read_lists(tensor: Tensor, data: list[Any]) -> NDArray[Any]:
    if tensor.datatype in _BINARY_ONLY:
        raise MalformedRequestError(
            f"data of {tensor.name} must be binary where the datatype is {tensor.datatype}; "
            "it is JSON"
        )
    flat = _flatten(tensor, data)
    strange = set(map(type, flat)) - _JSON_TYPES.get(tensor.datatype, _INTEGERS)
    if strange:
        kind = min(kind.__name__ for kind in strange)
        raise MalformedRequestError(
            f"data of {tensor.name} must be {tensor.datatype}; it holds a {kind}"
        )
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, _DTYPES[tensor.datatype]).reshape(tensor.shape)
    except (OverflowError, TypeError):
        raise MalformedRequestError(
            f"data of {tensor.name} must be within {tensor.datatype}; a number is beyond"
        ) from None


def _flatten(tensor: Tensor, data: list[Any]) -> list[Any]:
    """Give the numbers of lists in a row, if they are nested as the shape says, or not at all."""
    flat = data
    for side in tensor.shape[1:]:
        if not flat or type(flat[0]) is not list:
            break
        if {len(part) if type(part) is list else -1 for part in flat} != {side}:
            raise MalformedRequestError(
                f"data of {tensor.name} must be nested as its shape {list(tensor.shape)} says, "
                "or flat; it is ragged or of another shape"
            )
        flat = list(chain.from_iterable(flat))
    count = math.prod(tensor.shape)
    if len(flat) != count:
        raise MalformedRequestError(
            f"data of {tensor.name} must hold the {count} numbers that its shape "
            f"{list(tensor.shape)} takes; it holds {len(flat)}"
        )
    return flat
