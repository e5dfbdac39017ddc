"""Layers that stand for operators between tensors, such as `x / 255` and `x + y`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from model.convert.features import UNKNOWN, Features, Unsupported
from model.convert.reasons import explain

_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "LeakyRelu": "leaky_relu",
    "Silu": "silu",
    "Gelu": "gelu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Tanh": "tanh",
}
_MERGES = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")


def find_layer(operation: Any, values: list[Any]) -> Any:
    """Return the layer that computes what an operation does.

    Args:
        operation: of Keras.
        values: its arguments, features among them.

    Raises:
        Unsupported: if none does.
    """
    kind, name = type(operation).__name__, operation.name
    are_features = [isinstance(value, Features) or value is UNKNOWN for value in values]
    if are_features == [True, True] and kind in _MERGES:
        return getattr(keras.layers, kind)(name=name)
    if all(are_features) and kind == "Concatenate":
        return keras.layers.Concatenate(operation.axis, name=name)
    if are_features == [True] and kind in _ACTIVATIONS:
        return keras.layers.Activation(_ACTIVATIONS[kind], name=name)
    if sorted(are_features) == [False, True]:
        constant = _read_constant(values[are_features.index(False)])
        scale, offset = _find_affine(kind, constant, is_first=not are_features[0])
        return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=name)
    raise Unsupported(explain(kind))


def _read_constant(value: Any) -> Any:
    try:
        constant = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise Unsupported("an operand is neither a map nor numbers") from error
    if constant.size > 1 and constant.shape[-1] != constant.size:
        raise Unsupported("an operand has a value for each pixel")
    return constant.reshape(constant.shape[-1:])


def _find_affine(kind: str, constant: Any, *, is_first: bool) -> tuple[Any, Any]:
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    if kind == "Add":
        return one, constant
    if kind == "Multiply":
        return constant, zero
    if kind == "Subtract":
        return (-one, constant) if is_first else (one, -constant)
    if kind in ("Divide", "TrueDivide") and not is_first:
        return one / constant, zero
    raise Unsupported(explain(kind))
