"""Functions as an export has them: with constants for weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def freeze(call: Callable[..., Any], *specs: tf.TensorSpec) -> Callable[..., Any]:
    """Compile a function of tensors with its variables as constants.

    TensorFlow may choose other kernels for one image than for several if weights are variables,
    on processors without AVX-512. So promises about bits are made for constants.

    Args:
        call: Function of one tensor for each spec.
        specs: Shapes and dtypes of its arguments.
    """
    traced = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)

    def run(*arguments: Any) -> Any:
        tensors = [
            tf.constant(argument, spec.dtype)
            for argument, spec in zip(arguments, specs, strict=True)
        ]
        return tf.nest.pack_sequence_as(
            traced.structured_outputs, tf.nest.flatten(frozen(*tensors))
        )

    return run
