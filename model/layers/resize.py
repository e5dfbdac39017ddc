"""Changing the size of features and masks together, on a grid that starts at the top left."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import (
    check_features,
    check_mask,
    check_same_size,
    read_choice,
    read_inputs,
    read_positive,
)


@keras.saving.register_keras_serializable("lacuna")
class PadToMultiple(keras.layers.Layer):
    """Padding of image and mask, on the right and at the bottom, to a multiple of a number.

    Only on the right and at the bottom, so that every pixel keeps its phase on the grid of cells.

    Args:
        multiple: of the sides, usually the network's total stride.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        `(x, mask)` of the padded size; zeros and False in the padding.

    Raises:
        ValueError: if `multiple` is not a positive integer, or the mask not bool (N, H, W, 1) or
            not of the size of x.

    Examples:
        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = PadToMultiple(4)([x, mask])
        >>> y.shape
        TensorShape([1, 8, 8, 3])
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = read_positive(multiple, "multiple")

    def compute_output_spec(self, inputs: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the shapes and dtypes without tracing."""
        x, mask, _ = read_inputs(inputs)
        return self._pad_spec(x), self._pad_spec(mask)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Pad both."""
        x, mask, _ = read_inputs(inputs)
        cell = (self.multiple, self.multiple)
        padded = ops.pad_to_multiple(x, cell)
        padded.set_shape((x.shape[0], None, None, x.shape[-1]))
        return padded, ops.pad_to_multiple(mask, cell)

    def _pad_spec(self, values: Any) -> keras.KerasTensor:
        n, *sides, channels = values.shape
        padded = (None if side is None else side + -side % self.multiple for side in sides)
        return keras.KerasTensor((n, *padded, channels), values.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable("lacuna")
class CropToSize(keras.layers.Layer):
    """Crop of features to another tensor's height and width, at the right and at the bottom.

    Call arguments:
        inputs: `[x, reference]`: (N, H', W', C) and (N, H, W, anything) with H ≤ H', W ≤ W'.

    Returns:
        (N, H, W, C).

    Examples:
        >>> CropToSize()([tf.zeros((1, 8, 8, 3)), tf.zeros((1, 8, 6, 1))]).shape
        TensorShape([1, 8, 6, 3])
    """

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Return the shape and dtype without tracing."""
        x, reference = inputs
        n, _, _, channels = x.shape
        _, height, width, _ = reference.shape
        return keras.KerasTensor((n, height, width, channels), x.dtype)

    def call(self, inputs: Any) -> Any:
        """Crop."""
        x, reference = inputs
        size = tf.shape(reference)
        return x[:, : size[1], : size[2]]


@keras.saving.register_keras_serializable("lacuna")
class MaskMaxPooling2D(keras.layers.Layer):
    """Downsampling of a mask by `factor`: a cell is valid if any of its pixels is.

    Args:
        factor: side of a cell in pixels.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        mask: bool (N, H, W, 1).

    Returns:
        bool (N, ceil(H / factor), ceil(W / factor), 1).

    Raises:
        ValueError: if `factor` is not a positive integer, or the mask not bool (N, H, W, 1).

    Examples:
        >>> mask = tf.constant([True, False, False, False], shape=(1, 1, 4, 1))
        >>> MaskMaxPooling2D(2)(mask).numpy().ravel()
        array([ True, False])
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = read_positive(factor, "factor")

    def compute_output_spec(self, mask: Any) -> keras.KerasTensor:
        """Return the shape and dtype without tracing."""
        check_mask(mask)
        n, *sides, _ = mask.shape
        cells = (None if side is None else -(-side // self.factor) for side in sides)
        return keras.KerasTensor((n, *cells, 1), "bool")

    def call(self, mask: Any) -> Any:
        """Pool the mask."""
        check_mask(mask)
        return ops.any_in_blocks(mask, (self.factor, self.factor))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("lacuna")
class MaskedUpSampling2D(keras.layers.Layer):
    """Upsampling onto a finer mask, by whole factors.

        "nearest"   y = repeat(x)
        "bilinear"  y = resize(where(m, x, 0)) / resize(m), a mean of valid neighbours alone
        then        y = where(finer mask, y, 0)

    A coarse cell is valid if any of its pixels was, so its features reach pixels that are not
    valid; these are set to 0 again.

    Args:
        factor: side of the cell that a pixel becomes, in finer pixels.
        interpolation: `"nearest"` or `"bilinear"`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: for `"nearest"` `[x, finer]`, for `"bilinear"` `[x, mask, finer]`: float (N, H, W,
            C); bool (N, H, W, 1); bool (N, H · factor, W · factor, 1), the mask of the finer level.

    Returns:
        float (N, H · factor, W · factor, C), 0 where the finer mask is invalid or, with
        `"bilinear"`, all neighbours are.

    Raises:
        ValueError: if `factor` is not a positive integer, for an unknown interpolation, a wrong
            number of inputs, or a mask that is not bool (N, H, W, 1) or not of that size.

    Examples:
        >>> x = tf.constant([1.0, 2.0], shape=(1, 1, 2, 1))
        >>> finer = tf.constant([[1, 1, 0, 1], [1, 1, 0, 1]], shape=(1, 2, 4, 1)) > 0
        >>> MaskedUpSampling2D()([x, finer])[0, 0].numpy().ravel()
        array([1., 1., 0., 2.], dtype=float32)

    Reference:
        Interpolation as a normalised convolution: Knutsson & Westin 1993,
        doi:10.1109/CVPR.1993.341081.
    """

    def __init__(
        self,
        factor: int = 2,
        interpolation: Literal["nearest", "bilinear"] = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.factor = read_positive(factor, "factor")
        self.interpolation = read_choice(interpolation, ("nearest", "bilinear"), "interpolation")

    def call(self, inputs: Any) -> Any:
        """Interpolate and mask."""
        names = ("x", "finer") if self.interpolation == "nearest" else ("x", "mask", "finer")
        if len(inputs) != len(names):
            raise ValueError(
                f"the inputs must be [{', '.join(names)}]. Received: {len(inputs)} tensors"
            )
        x, *masks, finer = inputs
        check_mask(finer)
        y = self._interpolate(x, *masks)
        check_same_size(finer, y, "finer")
        return ops.fill_invalid(y, finer)

    def _interpolate(self, x: Any, mask: Any = None) -> Any:
        factors = (self.factor, self.factor)
        if mask is None:
            return ops.upsample_nearest(x, factors)
        check_features(x, mask)
        y = ops.upsample_linear(ops.fill_invalid(x, mask), factors)
        weight = ops.upsample_linear(tf.cast(mask, tf.float32), factors)
        return y * tf.cast(tf.math.reciprocal_no_nan(weight), y.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "interpolation": self.interpolation,
        }
