"""Functions of TensorFlow whose weights are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from model.adopt.source import AdoptionError, TensorFacts, first_line


def freeze(function: Any, output: int = 0) -> Any:
    """Return a function of one tensor to one tensor, without variables.

    Args:
        function: concrete function of one tensor.
        output: index of the output among all, flattened.

    Raises:
        AdoptionError: if it has resources other than variables, such as tables.
    """
    rule = "a network must consist of weights and operations"
    try:
        frozen = convert_variables_to_constants_v2(function)
    except Exception as error:
        raise AdoptionError(f"{rule}; {first_line(error)}") from error
    if len(frozen.inputs) > 1:
        others = ", ".join(f"{tensor.name} {tensor.dtype.name}" for tensor in frozen.inputs[1:])
        raise AdoptionError(f"{rule}; it has tables or other state, {others}")
    return lambda image: tf.nest.flatten(frozen(image))[output]


def make_runner(function: Any, dtype: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the function for arrays."""
    return lambda image: function(tf.constant(image, dtype)).numpy()


def describe(spec: Any, name: str) -> TensorFacts:
    """Describe a tensor of TensorFlow."""
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorFacts(name, shape, spec.dtype.name)
