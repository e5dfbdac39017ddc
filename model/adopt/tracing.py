"""Networks of Keras as graphs that take images of any size."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from model.adopt.source import AdoptionError, TensorFacts, first_line


class TracedUpSampling2D(keras.layers.UpSampling2D):
    """Upsampling by interpolation that becomes a graph.

    Keras 3.15 compares the new height and width with 0 in Python, which fails where they are open.
    """

    def call(self, inputs: Any) -> Any:
        """Upsample images (N, H, W, C)."""
        size = tf.shape(inputs)[1:3] * tf.constant(self.size)
        upsampled = tf.image.resize(inputs, size, self.interpolation)
        return tf.ensure_shape(tf.cast(upsampled, inputs.dtype), [*[None] * 3, inputs.shape[-1]])


def make_traceable(network: keras.Model) -> keras.Model:
    """Return a network of the same outputs that becomes a graph for images of any size."""
    if not any(_must_change(layer) for layer in network._flatten_layers()):  # noqa: SLF001
        return network
    changed = keras.models.clone_model(network, clone_function=_change, recursive=True)
    changed.set_weights(network.get_weights())
    return changed


def trace(network: keras.Model, image: TensorFacts) -> Any:
    """Return the concrete function of a network.

    Args:
        network: network of one input, from `make_traceable`. It must live as long as the function,
            which refers to its variables weakly.
        image: its input.

    Raises:
        AdoptionError: if it does not become a graph.
    """
    called = tf.function(functools.partial(network, training=False), autograph=False)
    try:
        return called.get_concrete_function(tf.TensorSpec(image.shape, image.dtype))
    except Exception as error:
        raise AdoptionError(f"a network must become a graph; {first_line(error)}") from error


def _must_change(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.UpSampling2D
        and layer.interpolation != "nearest"
        and layer.data_format == "channels_last"
    )


def _change(layer: keras.Layer) -> keras.Layer:
    kind = TracedUpSampling2D if _must_change(layer) else type(layer)
    return kind.from_config(layer.get_config())
