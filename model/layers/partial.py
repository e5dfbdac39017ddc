"""The base of all partial convolutions: everything but the convolution itself.

z   = convolve(where(m, x, 0))
cnt = count(m)                      valid pixels that z was made of
y   = activation(z * scale(cnt) + b)
m'  = update(m);  y = where(m', y, fill_value)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_same_size, read_choice, read_inputs
from model.layers.convolution import Convolution


class Coverage(NamedTuple):
    """Number of valid pixels behind each output of a convolution.

    Attributes:
        count: float32 (N, H', W', 1), valid pixels; with a last dimension of filters where they
            differ.
        full: `count` where all pixels are valid; a number, or a map that fits `count`.
    """

    count: Any
    full: Any


class PartialConvolution(Convolution):
    """Abstract: a convolution over `[x, mask]` that rescales by the number of valid pixels.

    A subclass defines how to convolve and, if it differs, how to count. `PartialArguments`
    describes the arguments.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        normalization: ops.Normalization = "area",
        mask_update: ops.MaskUpdate = "keep",
        fill_value: float = 0.0,
        activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides, **kwargs)
        self.normalization = read_choice(normalization, ops.NORMALIZATIONS, "normalization")
        self.mask_update = read_choice(mask_update, ops.MASK_UPDATES, "mask_update")
        self.fill_value = float(fill_value)
        self.activation = keras.activations.get(activation)

    @abstractmethod
    def _convolve(self, x: Any) -> Any:
        """Convolve features (N, H, W, C) that are 0 where invalid, without a bias."""

    def _cover(self, mask: Any) -> Coverage:
        """Count the valid pixels behind each output."""
        count = ops.count_valid(mask, self.kernel_size, *self._window)
        return Coverage(count, self.kernel_size[0] * self.kernel_size[1])

    def _update(self, mask: Any, extent: Any, coverage: Coverage) -> Any:
        """Return the mask of the outputs."""
        count, full = coverage
        if self.mask_update == "all":
            return tf.reduce_all(count == full, axis=-1, keepdims=True)
        if self.mask_update == "keep":
            return self._keep(mask, count)
        grown = tf.reduce_any(count > 0, axis=-1, keepdims=True)
        return grown if extent is None else tf.logical_and(grown, self._keep(extent, count))

    def _keep(self, mask: Any, count: Any) -> Any:
        return ops.keep_mask(mask, tf.shape(count)[1:3], self.kernel_size, *self._window)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Convolve the valid pixels, and return the result and its mask."""
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

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {
            **super().get_config(),
            "normalization": self.normalization,
            "mask_update": self.mask_update,
            "fill_value": self.fill_value,
            "activation": keras.activations.serialize(self.activation),
        }
        return {name: value for name, value in config.items() if name not in self.fixed}
