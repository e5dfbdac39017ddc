"""Validation of arguments and inputs, with messages in the style of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any


def read_pair(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """Return an integer, or two, as (vertical, horizontal).

    Raises:
        ValueError: unless it is one positive integer or two.
    """
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(isinstance(side, Integral) and side > 0 for side in pair):
        raise ValueError(f"`{name}` must be one or two positive integers. Received: {value!r}")
    return int(pair[0]), int(pair[1])


def read_odd_pair(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """Return one or two odd integers as a pair: the size of a kernel with a middle pixel.

    Raises:
        ValueError: unless they are positive and odd.
    """
    pair = read_pair(value, name)
    if not all(side % 2 for side in pair):
        raise ValueError(
            f"`{name}` must be odd, so that both sides have the same padding. Received: {value!r}"
        )
    return pair


def read_positive(value: int, name: str) -> int:
    """Return a positive integer.

    Raises:
        ValueError: if it is not one.
    """
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}")
    return int(value)


def read_choice(value: Any, choices: Sequence[str], name: str) -> Any:
    """Return a value if it is one of the choices.

    Raises:
        ValueError: if it is not.
    """
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}. Received: {value!r}")
    return value


def check_mask(mask: Any) -> None:
    """Check that a mask is bool (N, H, W, 1).

    Raises:
        ValueError: if its dtype, rank or last dimension differs.
    """
    shape = tuple(mask.shape)
    if str(getattr(mask.dtype, "name", mask.dtype)) != "bool" or len(shape) != 4 or shape[-1] != 1:
        raise ValueError(
            f"`mask` must be bool of shape (N, H, W, 1). Received: {mask.dtype} of shape {shape}"
        )


def check_features(x: Any, mask: Any) -> None:
    """Check that features and mask belong to the same images.

    Raises:
        ValueError: if the mask is not bool (N, H, W, 1), the features not (N, H, W, C), or N, H or
            W differ where both are known.
    """
    check_mask(mask)
    if len(x.shape) != 4:
        raise ValueError(f"features must be (N, H, W, C). Received: shape {tuple(x.shape)}")
    check_same_size(mask, x, "mask")


def read_inputs(inputs: Any, third: str | None = None) -> tuple[Any, Any, Any]:
    """Return a layer's inputs: features, their mask, and an optional further mask of the same size.

    Args:
        inputs: `[x, mask]` or `[x, mask, third]`.
        third: name of the further mask; None if the layer has none.

    Returns:
        x, mask, and the third mask or None.

    Raises:
        ValueError: for a wrong number of tensors, and as in `check_features`.
    """
    number = len(inputs) if isinstance(inputs, list | tuple) else 1
    if number != 2 and (third is None or number != 3):
        options = "[x, mask]" if third is None else f"[x, mask] or [x, mask, {third}]"
        raise ValueError(f"the inputs must be {options}. Received: {number} tensors")
    x, mask, *rest = inputs
    check_features(x, mask)
    for further in rest:
        check_mask(further)
    return x, mask, rest[0] if rest else None


def read_channels(shape: Any) -> int:
    """Return the number of channels of features with the shape (N, H, W, C).

    Raises:
        ValueError: if it is unknown.
    """
    if shape[-1] is None:
        raise ValueError(f"the number of channels must be known. Received: {shape}")
    return int(shape[-1])


def check_same_size(mask: Any, x: Any, name: str) -> None:
    """Check that a mask or confidence has the number, height and width of the features.

    Raises:
        ValueError: if one of them is known for both and differs.
    """
    sides = zip(mask.shape[:3], x.shape[:3], strict=True)
    if any(None not in (one, other) and one != other for one, other in sides):
        raise ValueError(
            f"`{name}` must have the features' N, H and W. Received: {tuple(mask.shape)} for "
            f"features of shape {tuple(x.shape)}"
        )
