"""Layers that depend on the mask alone, or apply it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from model import ops
from model.layers.arguments import check_mask, read_choice, read_inputs, read_odd_pair


@keras.saving.register_keras_serializable("lacuna")
class CoverageScale(keras.layers.Layer):
    """Factor that rescales a stride-1 convolution and masks its output, in one map.

        scale(cnt) where the mask is valid, 0 elsewhere

    With `mask_update="keep"` all convolutions of one resolution share this map. One product with it
    replaces the scaling and the output masking of a `PartialConv2D`.

    Args:
        kernel_size: of the convolutions that will use the map; odd.
        normalization: as in `PartialArguments`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        mask: bool (N, H, W, 1).

    Returns:
        (N, H, W, 1) of the layer's compute dtype.

    Raises:
        ValueError: for an argument outside its choices, or a mask that is not bool (N, H, W, 1).

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> CoverageScale((1, 3))(mask).numpy().ravel()  # 3 / 2 where two of three are valid
        array([1.5, 1.5, 0. , 0. ], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        normalization: ops.Normalization = "area",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = read_odd_pair(kernel_size, "kernel_size")
        self.normalization = read_choice(normalization, ops.NORMALIZATIONS, "normalization")

    def compute_output_spec(self, mask: Any) -> keras.KerasTensor:
        """Return the shape and dtype without tracing."""
        check_mask(mask)
        return keras.KerasTensor(mask.shape, self.compute_dtype)

    def call(self, mask: Any) -> Any:
        """Compute the map."""
        check_mask(mask)
        if self.normalization == "none":  # a valid output has a valid pixel: its own
            return keras.ops.cast(mask, self.compute_dtype)
        area = self.kernel_size[0] * self.kernel_size[1]
        valid = keras.ops.cast(mask, "float32")
        count = ops.count_valid(mask, self.kernel_size)
        scale = ops.coverage_scale(count, area, self.normalization)
        # The map is finite, so a product masks it as well as a selection does, and faster.
        return keras.ops.cast(scale * valid, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "normalization": self.normalization,
        }


@keras.saving.register_keras_serializable("lacuna")
class FillInvalid(keras.layers.Layer):
    """Replacement of the values of invalid pixels, NaN included: `where(mask, x, fill_value)`.

    Args:
        fill_value: value of invalid pixels.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        Like x.

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> FillInvalid(-1.0)([x, mask]).numpy().ravel()
        array([ 1.,  5., -1., -1.], dtype=float32)
    """

    def __init__(self, fill_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fill_value = float(fill_value)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Return the shape and dtype without tracing."""
        x, _, _ = read_inputs(inputs)
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, inputs: Any) -> Any:
        """Select."""
        x, mask, _ = read_inputs(inputs)
        return ops.fill_invalid(x, mask, self.fill_value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "fill_value": self.fill_value}
