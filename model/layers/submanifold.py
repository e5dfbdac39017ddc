"""Convolution of the valid pixels onto the valid pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras

from model import ops
from model.layers.arguments import read_channels, read_positive
from model.layers.convolution import OutputArguments
from model.layers.partial import PartialConvolution


@keras.saving.register_keras_serializable("lacuna")
class SubmanifoldConv2D(PartialConvolution):
    """2-D convolution whose outputs are valid where its inputs are, without normalisation.

        y = where(m, conv(where(m, x, 0), w) + b, fill_value);  m' = m

    The set of valid pixels stays the same through any number of layers. Missing neighbours count
    as 0. That is right where absence is itself a signal, as in strokes, events or point clouds;
    where missing means unknown, use `PartialConv2D`.

    Args:
        filters: number of output channels.
        kernel_size: one odd integer or two.
        dilation_rate: one integer or two.
        **kwargs: `OutputArguments`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), any value under the mask; bool (N, H, W, 1).

    Returns:
        `(y, mask)`: float (N, H, W, filters), and the input mask.

    Raises:
        ValueError: for an argument outside its choices, an even kernel, or a mask that is not bool
            (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> layer = SubmanifoldConv2D(1, (1, 3), kernel_initializer="ones")
        >>> y, mask = layer([x, mask])
        >>> y.numpy().ravel()  # sums, missing neighbours as 0
        array([6., 6., 0., 0.], dtype=float32)

    Reference:
        Graham, Engelcke & van der Maaten 2018, 3D Semantic Segmentation with Submanifold Sparse
        Convolutional Networks, arXiv:1711.10275.
    """

    fixed = ("strides", "padding", "normalization", "mask_update")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        dilation_rate: int | Sequence[int] = 1,
        **kwargs: Unpack[OutputArguments],
    ) -> None:
        self._refuse_fixed(kwargs)
        super().__init__(kernel_size, dilation_rate=dilation_rate, normalization="none", **kwargs)
        self.filters = read_positive(filters, "filters")

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias for features of a known number of channels."""
        shape = (*self.kernel_size, read_channels(input_shape[0]), self.filters)
        self.kernel = self._add_kernel(shape, self.kernel_initializer)
        self._add_bias(self.filters)

    def _convolve(self, x: Any) -> Any:
        return ops.convolve(x, keras.ops.convert_to_tensor(self.kernel), *self._window)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters}
