"""Convolution with a mask on its kernel, for known patterns of missing pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from model import ops
from model.layers.arguments import read_channels, read_positive
from model.layers.convolution import PartialArguments
from model.layers.partial import Coverage, PartialConvolution


@keras.saving.register_keras_serializable("lacuna")
class KernelMaskedConv2D(PartialConvolution):
    """Partial convolution with a fixed binary mask on its kernel.

        z   = conv(where(m, x, 0), where(k, w, 0))
        cnt = conv(m, k)                    valid pixels under the taps in use
        y   = z * scale(cnt) + b;  y = where(m', y, fill_value)

    For data that is always missing at the same relative positions: every other row, a colour
    filter's mosaic, the pixels that a causal model must not see. The mask is a constant, not a
    weight: masked taps start at 0 and have a gradient of 0.

    With a mask (kh, kw, C, F) each filter has its own counts, the mean over its channels, and k² is
    the number of taps that it uses. `"any"` and `"all"` then refer to any filter and to all.

    Args:
        filters: number of output channels.
        kernel_mask: of 0 and 1, or bool: (kh, kw), or (kh, kw, C, filters); 1 = in use. Odd sides
            for `padding="same"`.
        strides: one integer or two.
        **kwargs: `PartialArguments`.

    Call arguments:
        inputs: `[x, mask]`, or with `mask_update="any"` `[x, mask, extent]`, as in `PartialConv2D`.

    Returns:
        `(y, mask)`: float (N, H', W', filters), bool (N, H', W', 1).

    Raises:
        ValueError: as in `PartialConv2D`; for a kernel mask of a wrong shape, with other values, or
            without a tap in use.

    Examples:
        A causal kernel sees what is above and to the left:

        >>> x, mask = tf.zeros((1, 8, 6, 3)), tf.fill((1, 8, 6, 1), True)
        >>> y, mask = KernelMaskedConv2D(8, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])([x, mask])
        >>> y.shape
        TensorShape([1, 8, 6, 8])

    Reference:
        van den Oord et al. 2016, Pixel Recurrent Neural Networks (masked convolutions),
        arXiv:1601.06759, with the normalisation of Liu et al. 2018, arXiv:1804.07723.
    """

    fixed = ("kernel_size",)

    def __init__(
        self,
        filters: int,
        kernel_mask: ArrayLike,
        strides: int | Sequence[int] = 1,
        **kwargs: Unpack[PartialArguments],
    ) -> None:
        self._refuse_fixed(kwargs)
        taps = _read_kernel_mask(kernel_mask)
        super().__init__(taps.shape[:2], strides, **kwargs)
        self.filters = read_positive(filters, "filters")
        if taps.ndim == 4 and taps.shape[3] != self.filters:
            raise ValueError(
                f"`kernel_mask` must be for {filters} filters. Received: shape {taps.shape}"
            )
        self.kernel_mask = taps

    def build(self, input_shape: Any) -> None:
        """Create the kernel, 0 where it is masked, and the bias."""
        channels = read_channels(input_shape[0])
        if self.kernel_mask.ndim == 4 and self.kernel_mask.shape[2] != channels:
            raise ValueError(
                f"`kernel_mask` must be for {channels} channels. Received: shape "
                f"{self.kernel_mask.shape}"
            )

        def draw(shape: tuple[int, ...], dtype: Any = None) -> Any:
            return self._mask_kernel(self.kernel_initializer(shape, dtype=dtype))

        self.kernel = self._add_kernel((*self.kernel_size, channels, self.filters), draw)
        self._add_bias(self.filters)

    def _mask_kernel(self, kernel: Any) -> Any:
        taps = self.kernel_mask
        # A selection, because 0 times an infinite weight is NaN.
        return tf.where(taps if taps.ndim == 4 else taps[..., None, None], kernel, 0)

    def _convolve(self, x: Any) -> Any:
        kernel = self._mask_kernel(keras.ops.convert_to_tensor(self.kernel))
        return ops.convolve(x, kernel, *self._window)

    def _cover(self, mask: Any) -> Coverage:
        taps = self.kernel_mask
        if taps.ndim == 2:
            uses, channels = taps.astype(np.float32)[..., None, None], np.float32(1)
        else:
            uses = taps.sum(axis=2, keepdims=True).astype(np.float32)
            channels = np.float32(taps.shape[2])
        # Both are whole numbers before the same division, so that "all" can compare them.
        count = ops.count_taps(mask, uses, *self._window)
        return Coverage(count / channels, uses.sum(axis=(0, 1, 2)) / channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        taps = self.kernel_mask.astype(int).tolist()
        return {**super().get_config(), "filters": self.filters, "kernel_mask": taps}


def _read_kernel_mask(value: ArrayLike) -> NDArray[np.bool_]:
    taps = np.asarray(value)
    if taps.ndim not in (2, 4) or 0 in taps.shape:
        raise ValueError(
            f"`kernel_mask` must be (kh, kw) or (kh, kw, C, filters). Received: shape {taps.shape}"
        )
    if taps.dtype.kind not in "biuf" or not np.isin(taps, (0, 1)).all() or not taps.any():
        raise ValueError(
            f"`kernel_mask` must consist of 0 and 1, with at least one 1. Received: {value!r}"
        )
    return taps.astype(np.bool_)
