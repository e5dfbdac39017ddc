"""Activations that look at one pixel alone, and what they do to zeros."""

from __future__ import annotations

from typing import Any

import keras

from model.convert.features import Features, Unsupported

_KEEP_ZERO = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "hard_silu",
    "tanh", "hard_tanh", "softsign", "mish", "tanh_shrink", "soft_shrink", "hard_shrink",
}  # fmt: skip
_POSITIVE = {"relu", "relu6", "sigmoid", "hard_sigmoid", "softplus", "exponential", "softmax"}
_OTHERS = {"log_sigmoid", "log_softmax", "squareplus", "sparse_sigmoid"}
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activate(features: Features, activation: Any, name: str) -> Features:
    """Apply an activation function.

    Args:
        features: its input.
        activation: function of Keras.
        name: of the layer.

    Raises:
        Unsupported: if it is none of Keras' own.
    """
    kind = getattr(activation, "__name__", type(activation).__name__)
    kind = _ALIASES.get(kind, kind)
    known = kind in _KEEP_ZERO | _POSITIVE | _OTHERS
    if not known or getattr(keras.activations, kind, None) is not activation:
        raise Unsupported(f"its activation {kind} is unknown, and might look at other pixels")
    if kind == "linear":
        return features
    x = keras.layers.Activation(activation, name=name)(features.x)
    return mark(features.replace(x=x), keeps_zero=kind in _KEEP_ZERO, is_positive=kind in _POSITIVE)


def mark(features: Features, *, keeps_zero: bool, is_positive: bool) -> Features:
    """Note what a function of single values did to zeros and to signs."""
    return features.replace(is_clean=features.is_clean and keeps_zero, is_positive=is_positive)
