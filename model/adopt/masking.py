"""Networks of Keras, converted into masked ones before they are wrapped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.adopt.options import AdoptionOptions
from model.adopt.source import AdoptionError, Source, TensorFacts
from model.convert import Conversion, ConversionError, convert, fold


def convert_source(source: Source, options: AdoptionOptions) -> tuple[Source, Conversion]:
    """Convert a network.

    Args:
        source: the network.
        options: what was told about it.

    Returns:
        The converted network, whose `graph` takes the image and its mask; and its conversion.

    Raises:
        AdoptionError: if it is not of Keras, or has layers that cannot be converted.
    """
    if source.network is None:
        raise AdoptionError(
            "--masked needs the layers of a network, so a .keras or .h5 file; this one is of the "
            f"kind {source.kind}"
        )
    if options.fill != "zero":
        raise AdoptionError(
            f"--masked ignores missing pixels, so nothing fills them; --fill is {options.fill}"
        )
    try:
        conversion = convert(source.network, allow=options.allow)
    except ConversionError as error:
        raise AdoptionError(str(error)) from error
    graph = freeze_masked(fold(conversion.network))
    shapes = (conversion.network.inputs[0].shape, conversion.network.outputs[0].shape)
    taken, given = (tuple(shape) for shape in shapes)
    return dataclasses.replace(
        source,
        input=TensorFacts(source.input.name, taken, "float32"),
        output=TensorFacts(source.output.name, given, "float32"),
        run=_run_valid(graph),
        graph=graph,
        scales_itself=source.scales_itself or not source.input.dtype.startswith("float"),
    ), conversion


def freeze_masked(network: keras.Model) -> Callable[[Any, Any], Any]:
    """Return the function of a converted network, whose weights are constants.

    Args:
        network: from `[image, mask]` to scores.
    """
    trained = [np.asarray(weight) for weight in network.trainable_variables]
    others = [np.asarray(weight) for weight in network.non_trainable_variables]

    def compute(image: Any, mask: Any) -> Any:
        weights = ([tf.constant(value) for value in values] for values in (trained, others))
        scores, _ = network.stateless_call(*weights, [image, mask], training=False)
        return scores

    specs = [
        tf.TensorSpec(network.inputs[0].shape, tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.bool),
    ]
    return tf.function(compute, input_signature=specs, autograph=False)


def _run_valid(graph: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return the function for images without missing pixels."""

    def run(image: Any) -> Any:
        return np.asarray(graph(tf.constant(image), tf.ones((*image.shape[:3], 1), tf.bool)))

    return run
