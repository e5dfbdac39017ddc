"""Reading the arguments that several layers share, with Keras' kind of message."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any


def read_pair(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """Read an integer, or two, as (vertical, horizontal).

    Raises:
        ValueError: unless it is one positive integer or two.
    """
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(isinstance(side, Integral) and side > 0 for side in pair):
        raise ValueError(f"`{name}` must be one or two positive integers. Received: {value!r}")
    return int(pair[0]), int(pair[1])


def read_odd_pair(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """Read one or two odd integers, of a kernel that reaches equally far to all sides.

    Raises:
        ValueError: unless they are positive and odd.
    """
    pair = read_pair(value, name)
    if not all(side % 2 for side in pair):
        raise ValueError(
            f"`{name}` must be odd, for padding that is alike on both sides. Received: {value!r}"
        )
    return pair


def read_choice(value: Any, choices: Sequence[str], name: str) -> Any:
    """Check that a value is one of the choices.

    Raises:
        ValueError: if it is not.
    """
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}. Received: {value!r}")
    return value


def check_mask(mask: Any) -> None:
    """Check that a mask is bool (N, H, W, 1).

    Raises:
        ValueError: if its dtype, rank or last dimension is another.
    """
    shape = tuple(mask.shape)
    if str(getattr(mask.dtype, "name", mask.dtype)) != "bool" or len(shape) != 4 or shape[-1] != 1:
        raise ValueError(
            f"`mask` must be bool of shape (N, H, W, 1). Received: {mask.dtype} of shape {shape}"
        )
