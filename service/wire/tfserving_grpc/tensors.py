"""Tensors as messages: `TensorProto`, its datatypes, shape and numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import MalformedRequestError

_MAX_SIDE = 1 << 32
"""Maximum side of a shape. It exceeds all limits, and products of sides stay short in messages."""

_CONVERTED_BYTES = 20
"""Bytes for each number of a tensor that is not taken as it is: int64 or float64, then the
datatype, then float32."""


class TensorType(NamedTuple):
    """Datatype of a tensor.

    Attributes:
        name: name of the datatype.
        dtype: NumPy type of `tensor_content`.
        field: field with the numbers of a tensor that has no `tensor_content`.
    """

    name: str
    dtype: np.dtype[Any]
    field: str


STRING = TensorType("DT_STRING", np.dtype(object), "string_val")

TYPES: Mapping[int, TensorType] = MappingProxyType(
    {
        number: TensorType(name, np.dtype(dtype), field)
        for number, name, dtype, field in (
            (1, "DT_FLOAT", "<f4", "float_val"),
            (2, "DT_DOUBLE", "<f8", "double_val"),
            (3, "DT_INT32", "<i4", "int_val"),
            (4, "DT_UINT8", "u1", "int_val"),
            (5, "DT_INT16", "<i2", "int_val"),
            (6, "DT_INT8", "i1", "int_val"),
            (9, "DT_INT64", "<i8", "int64_val"),
            (10, "DT_BOOL", "u1", "bool_val"),
            (14, "DT_BFLOAT16", "<u2", "half_val"),
            (17, "DT_UINT16", "<u2", "int_val"),
            (19, "DT_HALF", "<u2", "half_val"),
            (22, "DT_UINT32", "<u4", "uint32_val"),
            (23, "DT_UINT64", "<u8", "uint64_val"),
        )
    }
    | {7: STRING}
)
"""Datatypes by their numbers. Halves are read as their bits, and converted afterwards."""

IMAGE_TYPES = tuple(entry.name for entry in TYPES.values() if entry.name != "DT_BOOL")
MASK_TYPES = tuple(
    entry.name
    for entry in TYPES.values()
    if entry is STRING or (entry.dtype.kind in "iu" and entry.field != "half_val")
)

FIELDS = tuple(dict.fromkeys(entry.field for entry in TYPES.values()))
"""Fields that hold numbers or strings."""

_VIEWED = frozenset({"DT_FLOAT", "DT_UINT8", "DT_UINT16", "DT_BOOL"})
"""Datatypes whose `tensor_content` is taken as it is."""


@dataclass(frozen=True, eq=False)
class ProtoTensor:
    """Tensor of a message, not yet decoded.

    Attributes:
        name: name of the input.
        type: datatype.
        shape: shape, every side at least 1.
        content: `tensor_content`, exactly as many bytes as the shape needs; empty if there is none.
        values: numbers or strings of the datatype's field, otherwise; at most as many as the shape
            needs.
    """

    name: str
    type: TensorType
    shape: tuple[int, ...]
    content: memoryview
    values: Sequence[Any]

    def estimate_bytes(self) -> int:
        """Estimate the memory that decoding takes, in bytes."""
        if self.content and self.type.name in _VIEWED:
            return 0
        return math.prod(self.shape) * _CONVERTED_BYTES

    @cached_property
    def array(self) -> NDArray[Any]:
        """Numbers in the tensor's shape. DT_BOOL becomes uint8, non-zero = true.

        Raises:
            MalformedRequestError: if a number is out of the datatype's range.
        """
        dtype = self.type.dtype
        flat = np.frombuffer(self.content, dtype) if self.content else self._read_values()
        if self.type.name == "DT_HALF":
            flat = flat.view("<f2")
        elif self.type.name == "DT_BFLOAT16":
            # A bfloat16 is the upper half of a float32.
            flat = (flat.astype("<u4") << 16).view("<f4")
        return flat.reshape(self.shape)

    def _read_values(self) -> NDArray[Any]:
        dtype = self.type.dtype
        is_narrow = dtype.kind in "iu" and dtype.itemsize < 8
        given = np.fromiter(self.values, np.int64 if is_narrow else dtype, len(self.values))
        flat = given.astype(dtype, copy=False)
        if is_narrow and not np.array_equal(flat, given):
            raise MalformedRequestError(
                f"{self.type.field} of {self.name} must be in the range of {self.type.name}; "
                "a number is not"
            )
        # The last number stands for all that follow it.
        return np.pad(flat, (0, math.prod(self.shape) - len(flat)), mode="edge")


def read_tensor(
    name: str,
    proto: Any,
    content: memoryview,
    types: Collection[str],
    ranks: Collection[int],
) -> ProtoTensor:
    """Read a tensor; its numbers stay in the message.

    Args:
        name: name of the input.
        proto: the `TensorProto`, without its `tensor_content`.
        content: `tensor_content`; empty if there is none.
        types: names of the datatypes that the input accepts.
        ranks: numbers of dimensions that it accepts; 1 for strings.

    Raises:
        MalformedRequestError: if the tensor has another datatype or rank, or its shape does not
            match its numbers.
    """
    kind = TYPES.get(proto.dtype)
    if kind is None or kind.name not in types:
        given = f"the number {proto.dtype}" if kind is None else kind.name
        raise MalformedRequestError(
            f"dtype of {name} must be one of {', '.join(types)}; it is {given}"
        )
    shape = _read_shape(name, proto.tensor_shape, (1,) if kind is STRING else ranks)
    values = getattr(proto, kind.field)
    _check_fields(name, proto, kind, content)
    _check_size(name, kind, shape, content, values)
    return ProtoTensor(name, kind, shape, content, values)


def _read_shape(name: str, shape: Any, ranks: Collection[int]) -> tuple[int, ...]:
    sides = tuple(dim.size for dim in shape.dim[: max(ranks) + 1])
    if shape.unknown_rank or len(sides) not in ranks:
        given = "unknown" if shape.unknown_rank else len(shape.dim)
        raise MalformedRequestError(
            f"rank of {name} must be {' or '.join(map(str, ranks))}; it is {given}"
        )
    if not 1 <= min(sides) <= max(sides) <= _MAX_SIDE:
        raise MalformedRequestError(
            f"sides of {name} must be from 1 to {_MAX_SIDE}; its shape is {list(sides)}"
        )
    return sides


def _check_fields(name: str, proto: Any, kind: TensorType, content: memoryview) -> None:
    """Check that a tensor has its numbers in one field, and that it is the right one."""
    places = [kind.field] if kind is STRING else ["tensor_content", kind.field]
    given = ["tensor_content"] if content else []
    given += [field for field in FIELDS if getattr(proto, field)]
    if len(given) != 1 or given[0] not in places:
        raise MalformedRequestError(
            f"{name} must have its {kind.name} in {' or '.join(places)}; it has "
            f"{' and '.join(given) or 'neither'}"
        )


def _check_size(
    name: str, kind: TensorType, shape: tuple[int, ...], content: memoryview, values: Sequence[Any]
) -> None:
    count = math.prod(shape)
    if content and len(content) != count * kind.dtype.itemsize:
        raise MalformedRequestError(
            f"tensor_content of {name} must have {count * kind.dtype.itemsize} bytes, the size of "
            f"{kind.name} {list(shape)}; it has {len(content)}"
        )
    if len(values) > count or (kind is STRING and len(values) < count):
        raise MalformedRequestError(
            f"{kind.field} of {name} must have {'' if kind is STRING else 'at most '}{count} "
            f"values, for its shape {list(shape)}; it has {len(values)}"
        )
