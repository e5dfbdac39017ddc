"""Changing the size of features and masks together, on a grid that starts at the top left."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask


def _check_whole(value: int, name: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}")
    return value


@keras.saving.register_keras_serializable("lacuna")
class PadToMultiple(keras.layers.Layer):
    """Pads image and mask on the right and at the bottom up to a multiple of a number.

    Right and bottom only, so that every pixel keeps its phase on the grid of cells.

    Args:
        multiple: of the sides, usually the network's total stride.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: (N, H, W, C), bool (N, H, W, 1).

    Returns:
        `(x, mask)` of the padded size; zeros and False in the padding.

    Raises:
        ValueError: if `multiple` is not a positive integer, or the mask not bool (N, H, W, 1).
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = _check_whole(multiple, "multiple")

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Pad both."""
        x, mask = inputs
        check_mask(mask)
        size = tf.shape(mask)
        bottom, right = (-size[1]) % self.multiple, (-size[2]) % self.multiple
        paddings = [[0, 0], [0, bottom], [0, right], [0, 0]]
        padded = tf.pad(x, paddings)
        padded.set_shape((x.shape[0], None, None, x.shape[-1]))
        return padded, tf.pad(mask, paddings)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable("lacuna")
class CropToSize(keras.layers.Layer):
    """Cuts what lies to the right of and below another tensor's height and width.

    Call arguments:
        inputs: `[x, reference]`: (N, H', W', C) and (N, H, W, anything) with H ≤ H', W ≤ W'.

    Returns:
        (N, H, W, C).
    """

    def call(self, inputs: Any) -> Any:
        """Crop."""
        x, reference = inputs
        size = tf.shape(reference)
        return x[:, : size[1], : size[2]]


@keras.saving.register_keras_serializable("lacuna")
class MaskMaxPooling2D(keras.layers.Layer):
    """Halves a mask, or divides it by `factor`: a cell is valid if any of its pixels is.

    Args:
        factor: side of a cell in pixels.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        mask: bool (N, H, W, 1).

    Returns:
        bool (N, ceil(H / factor), ceil(W / factor), 1).

    Raises:
        ValueError: if `factor` is not a positive integer, or the mask not bool (N, H, W, 1).
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = _check_whole(factor, "factor")

    def call(self, mask: Any) -> Any:
        """Pool the mask."""
        check_mask(mask)
        return ops.any_in_blocks(mask, (self.factor, self.factor))

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("lacuna")
class MaskedUpSampling2D(keras.layers.Layer):
    """Nearest-neighbour upsampling onto a finer mask.

    A coarse cell is valid if any of its pixels was, so its features spill over pixels that are
    not; they are cut away again: `where(mask, repeat(x), 0)`.

    Args:
        factor: how often a pixel is repeated in each direction.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C); bool (N, H · factor, W · factor, 1), the mask of
            the finer level.

    Returns:
        float (N, H · factor, W · factor, C), 0 where the finer mask is invalid.

    Raises:
        ValueError: if `factor` is not a positive integer, or the mask not bool (N, H, W, 1).
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = _check_whole(factor, "factor")

    def call(self, inputs: Any) -> Any:
        """Repeat and mask."""
        x, mask = inputs
        check_mask(mask)
        return ops.fill_invalid(ops.upsample_nearest(x, self.factor), mask)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}
