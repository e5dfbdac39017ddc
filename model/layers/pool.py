"""Pooling of valid pixels, in cells and over whole images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras

from model import ops
from model.layers.arguments import read_inputs, read_pair


class _CellPooling(keras.layers.Layer):
    """Abstract: pooling in cells that tile the image from its top left."""

    def __init__(self, pool_size: int | Sequence[int] = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = read_pair(pool_size, "pool_size")

    @abstractmethod
    def _pool(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Pool the valid pixels, and find the cells that have any."""

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Pool the valid pixels, and find the cells that have any."""
        x, mask, _ = read_inputs(inputs)
        return self._pool(x, mask)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "pool_size": self.pool_size}


@keras.saving.register_keras_serializable("lacuna")
class MaskedMaxPooling2D(_CellPooling):
    """Maximum of the valid pixels of each cell, 0 where there are none.

        y = max(where(m, x, lowest));  m' = any(m);  y = where(m', y, 0)

    Cells tile the image from its top left, and the last ones may reach past its end, where no pixel
    is valid. Unlike overlapping windows, they read the same pixels in every canvas.

    Args:
        pool_size: height and width of a cell, one integer or two.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), any value under the mask; bool (N, H, W, 1).

    Returns:
        `(y, mask)`: float (N, ceil(H / py), ceil(W / px), C), bool (N, ceil(H / py), ceil(W / px),
        1).

    Raises:
        ValueError: if `pool_size` is not a positive integer or two, or the mask not bool (N, H, W,
            1) or of another size than x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> y, mask = MaskedMaxPooling2D((1, 2))([x, mask])
        >>> y.numpy().ravel(), mask.numpy().ravel()
        (array([5., 0.], dtype=float32), array([ True, False]))
    """

    def _pool(self, x: Any, mask: Any) -> tuple[Any, Any]:
        return ops.masked_max_pool(x, mask, self.pool_size)


@keras.saving.register_keras_serializable("lacuna")
class MaskedAveragePooling2D(_CellPooling):
    """Mean of the valid pixels of each cell, 0 where there are none.

        y = sum(where(m, x, 0)) / count(m);  m' = any(m)

    Cells, arguments, inputs and outputs are those of `MaskedMaxPooling2D`.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> y, mask = MaskedAveragePooling2D((1, 4))([x, mask])
        >>> y.numpy().ravel()
        array([3.], dtype=float32)
    """

    def _pool(self, x: Any, mask: Any) -> tuple[Any, Any]:
        return ops.masked_average_pool(x, mask, self.pool_size)


class _GlobalPooling(keras.layers.Layer):
    """Abstract: one number for each image and channel."""

    def __init__(self, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keepdims = bool(keepdims)

    @abstractmethod
    def _pool(self, x: Any, mask: Any) -> Any:
        """Pool to (N, 1, 1, C)."""

    def call(self, inputs: Any) -> Any:
        """Return the pooled values."""
        x, mask, _ = read_inputs(inputs)
        pooled = keras.ops.cast(self._pool(x, mask), x.dtype)
        return pooled if self.keepdims else pooled[:, 0, 0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "keepdims": self.keepdims}


@keras.saving.register_keras_serializable("lacuna")
class MaskedGlobalAveragePooling2D(_GlobalPooling):
    """Mean of an image's valid pixels, 0 where there are none.

        y = sum(where(m, x, 0)) / count(m)

    Summed in float32. The order of a sum depends on the size of the canvas, so results agree
    across canvases only up to rounding, and a tile of an image has another result than the image.

    Args:
        keepdims: whether to keep height and width, as 1.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), any value under the mask; bool (N, H, W, 1).

    Returns:
        float (N, C), or (N, 1, 1, C).

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> MaskedGlobalAveragePooling2D()([x, mask]).numpy()
        array([[3.]], dtype=float32)
    """

    def _pool(self, x: Any, mask: Any) -> Any:
        return ops.masked_mean(x, mask)


@keras.saving.register_keras_serializable("lacuna")
class MaskedGlobalMaxPooling2D(_GlobalPooling):
    """Maximum of an image's valid pixels, 0 where there are none.

        y = max(where(m, x, lowest)) if any(m) else 0

    The same to the last bit in every canvas; a tile of an image has another result than the image.
    Arguments, inputs and outputs are those of `MaskedGlobalAveragePooling2D`.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> MaskedGlobalMaxPooling2D()([x, mask]).numpy()
        array([[5.]], dtype=float32)
    """

    def _pool(self, x: Any, mask: Any) -> Any:
        return ops.masked_max(x, mask)
