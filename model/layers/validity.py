"""Validity of the pixels of a raw image."""

from __future__ import annotations

from math import isfinite
from typing import Any

import keras
import tensorflow as tf

from model import ops
from model.layers.arguments import check_mask, check_same_size


@keras.saving.register_keras_serializable("lacuna")
class ValidityFromNoData(keras.layers.Layer):
    """Mask of the valid pixels of an image, with all other pixels set to 0.

        m = finite in every channel  and  not nodata in all channels  and  alpha > 0  and  mask
        y = where(m, x, 0)

    The first layer of a network for images without masks. NaN and ±Inf are never valid.

    Args:
        nodata: value of missing pixels; None if there is none. NaN and ±Inf need no mention.
            The comparison uses the image's own dtype, before the layer's policy rounds it.
        alpha: whether the last channel is an opacity, 0 where missing; it is removed.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `x` or `[x, mask]`: float or integer (N, H, W, C), bool (N, H, W, 1).

    Returns:
        `(y, mask)`: float (N, H, W, C), one channel less with `alpha`; bool (N, H, W, 1).

    Raises:
        ValueError: if `nodata` is not a number, the image not (N, H, W, C), with `alpha` has a
            single channel, or the mask is not bool (N, H, W, 1) or not of that size.

    Examples:
        >>> x = tf.constant([1.0, -9999.0, np.nan], shape=(1, 1, 3, 1))
        >>> y, mask = ValidityFromNoData(-9999.0)(x)
        >>> y.numpy().ravel(), mask.numpy().ravel()
        (array([1., 0., 0.], dtype=float32), array([ True, False, False]))
    """

    def __init__(self, nodata: float | None = None, alpha: bool = False, **kwargs: Any) -> None:
        # Without autocast, because bfloat16 turns a no-data value of -9999 into -9984.
        super().__init__(autocast=False, **kwargs)
        self.nodata = _read_nodata(nodata)
        self.alpha = bool(alpha)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Find the valid pixels and set all others to 0."""
        x, *masks = inputs if isinstance(inputs, list | tuple) else (inputs,)
        if len(masks) > 1 or len(x.shape) != 4 or (self.alpha and x.shape[-1] == 1):
            raise ValueError(
                "the inputs must be x or [x, mask], x of shape (N, H, W, C), with one channel more "
                f"for alpha. Received: {1 + len(masks)} tensors, x of shape {tuple(x.shape)}"
            )
        for mask in masks:
            check_mask(mask)
            check_same_size(mask, x, "mask")
        valid = tf.ones_like(x[..., :1], tf.bool) if not masks else masks[0]
        if self.alpha:
            valid = tf.logical_and(valid, x[..., -1:] > 0)
            x = x[..., :-1]
        if x.dtype.is_floating:
            finite = tf.reduce_all(tf.math.is_finite(x), axis=-1, keepdims=True)
            valid = tf.logical_and(valid, finite)
        if self.nodata is not None:
            valid = tf.logical_and(valid, tf.logical_not(ops.find_nodata(x, self.nodata)))
        return keras.ops.cast(ops.fill_invalid(x, valid), self.compute_dtype), valid

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "nodata": self.nodata, "alpha": self.alpha}


def _read_nodata(value: Any) -> float | None:
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`nodata` must be a number or None. Received: {value!r}") from error
    # NaN and ±Inf are always invalid.
    return number if number is None or isfinite(number) else None
