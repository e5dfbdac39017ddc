"""What all partial convolutions share: everything but the convolution itself.

z   = convolve(where(m, x, 0))
cnt = count(m)                      valid pixels that z was made of
y   = activation(z * scale(cnt) + b)
m'  = update(m);  y = where(m', y, fill_value)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import (
    check_same_size,
    read_choice,
    read_inputs,
    read_odd_pair,
    read_pair,
)


class Coverage(NamedTuple):
    """What lies behind each output of a convolution.

    Attributes:
        count: float32 (N, H', W', 1), valid pixels; with a last dimension of filters where they
            differ.
        full: what `count` would be where all is valid; a number, or a map that fits it.
    """

    count: Any
    full: Any


class PartialConvolution(keras.layers.Layer):
    """Abstract: a layer over `[x, mask]` that rescales by how many valid pixels it has seen.

    A subclass says how to convolve, and if it differs, how to count. Arguments are described where
    they are taken, in `PartialConv2D`.
    """

    fixed: ClassVar[tuple[str, ...]] = ()
    """Arguments that a subclass does not take from its caller: left out of its configuration."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: ops.Padding = "same",
        dilation_rate: int | Sequence[int] = 1,
        normalization: ops.Normalization = "area",
        mask_update: ops.MaskUpdate = "keep",
        fill_value: float = 0.0,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "he_normal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.strides = read_pair(strides, "strides")
        self.padding = read_choice(padding, ops.PADDINGS, "padding")
        read_kernel_size = read_odd_pair if self.padding == "same" else read_pair
        self.kernel_size = read_kernel_size(kernel_size, "kernel_size")
        self.dilation_rate = read_pair(dilation_rate, "dilation_rate")
        self.normalization = read_choice(normalization, ops.NORMALIZATIONS, "normalization")
        self.mask_update = read_choice(mask_update, ops.MASK_UPDATES, "mask_update")
        self.fill_value = float(fill_value)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias: Any = None

    @classmethod
    def _refuse_fixed(cls, arguments: dict[str, Any]) -> None:
        for name in cls.fixed:
            if name in arguments:
                raise ValueError(f"{cls.__name__} takes no `{name}`. Received: {arguments[name]!r}")

    @property
    def _place(self) -> tuple[tuple[int, int], ops.Padding, tuple[int, int]]:
        return self.strides, self.padding, self.dilation_rate

    @abstractmethod
    def _convolve(self, x: Any) -> Any:
        """Convolve features (N, H, W, C) that are 0 where invalid, without a bias."""

    def _cover(self, mask: Any) -> Coverage:
        """Count the valid pixels behind each output."""
        count = ops.count_valid(mask, self.kernel_size, *self._place)
        return Coverage(count, self.kernel_size[0] * self.kernel_size[1])

    def _update(self, mask: Any, extent: Any, coverage: Coverage) -> Any:
        """Say which outputs are valid."""
        count, full = coverage
        if self.mask_update == "all":
            return tf.reduce_all(count == full, axis=-1, keepdims=True)
        if self.mask_update == "keep":
            return self._keep(mask, count)
        grown = tf.reduce_any(count > 0, axis=-1, keepdims=True)
        return grown if extent is None else tf.logical_and(grown, self._keep(extent, count))

    def _keep(self, mask: Any, count: Any) -> Any:
        return ops.keep_mask(mask, tf.shape(count)[1:3], self.kernel_size, *self._place)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Convolve the valid pixels and say which outputs are valid."""
        x, mask, extent = self._read(inputs)
        y = self._convolve(ops.fill_invalid(x, mask))
        coverage = self._cover(mask)
        if self.normalization != "none":
            scale = ops.coverage_scale(*coverage, self.normalization)
            y = y * keras.ops.cast(scale, y.dtype)
        if self.bias is not None:
            y = y + keras.ops.convert_to_tensor(self.bias)
        updated = self._update(mask, extent, coverage)
        return ops.fill_invalid(self.activation(y), updated, self.fill_value), updated

    def _read(self, inputs: Any) -> tuple[Any, Any, Any]:
        x, mask, extent = read_inputs(inputs, "extent" if self.mask_update == "any" else None)
        if extent is not None:
            check_same_size(extent, x, "extent")
        return x, mask, extent

    def _add_kernel(self, shape: tuple[int, ...], initializer: Any, name: str = "kernel") -> Any:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, regularizer=self.kernel_regularizer
        )

    def _add_bias(self, filters: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(filters,), initializer=self.bias_initializer
            )

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        config = {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "normalization": self.normalization,
            "mask_update": self.mask_update,
            "fill_value": self.fill_value,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {name: value for name, value in config.items() if name not in self.fixed}
