"""Arguments and weights that the convolution layers share.

Each argument is declared and described here once. A layer names the ones that it adds or treats
differently, and takes the others as keywords.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypedDict

import keras

from model import ops
from model.layers.arguments import read_choice, read_odd_pair, read_pair


class LayerArguments(TypedDict, total=False):
    """Arguments of `keras.layers.Layer`."""

    name: str | None
    trainable: bool
    dtype: Any


class WeightArguments(LayerArguments, total=False):
    """Arguments that describe the weights.

    Attributes:
        use_bias: whether to add a bias; True by default.
        kernel_initializer: of the kernel; `"he_normal"` by default.
        bias_initializer: of the bias; `"zeros"` by default.
        kernel_regularizer: of the kernel; None by default.
    """

    use_bias: bool
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any


class OutputArguments(WeightArguments, total=False):
    """Arguments that describe the output, besides those of the weights.

    Attributes:
        fill_value: value of invalid outputs; 0 by default.
        activation: applied before the invalid outputs are filled; none by default.
    """

    fill_value: float
    activation: Any


class PartialArguments(OutputArguments, total=False):
    """Arguments of partial convolutions, besides those of the output and the weights.

    cnt is the number of valid pixels under the kernel, k² the kernel's area.

    Attributes:
        padding: `"same"`, the default, pads by the constant (k - 1) / 2 · dilation on every side,
            whatever the parity of the size; `"valid"` does not pad.
        dilation_rate: one integer or two; 1 by default.
        normalization: the scale, which is 0 where cnt is 0:
            `"none"` 1, so that only the input is masked;
            `"mean"` 1 / cnt;
            `"area"`, the default, k² / cnt, which equals a plain convolution where all pixels are
            valid;
            `"variance"` sqrt(k² / cnt), which keeps the output's variance where few are valid.
        mask_update: the mask of the output:
            `"keep"`, the default, the mask itself; with stride s, whether any pixel of the output's
            s × s block is valid. It never grows, and results do not depend on the padding of an
            image;
            `"any"` cnt > 0, as in the paper, for inpainting. It grows by the kernel's radius in
            every layer, over padding too, which the next layer then reads: **a network of several
            such layers gives other results in another canvas**, unless each receives the image's
            `extent`, beyond which the mask then does not grow;
            `"all"` cnt = k²; it shrinks.
    """

    padding: ops.Padding
    dilation_rate: int | Sequence[int]
    normalization: ops.Normalization
    mask_update: ops.MaskUpdate


class Convolution(keras.layers.Layer):
    """Abstract: a layer with a kernel and a bias that slides over an image."""

    fixed: ClassVar[tuple[str, ...]] = ()
    """Arguments that a subclass does not take from its caller: absent from its configuration."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        padding: ops.Padding = "same",
        dilation_rate: int | Sequence[int] = 1,
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
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias: Any = None

    @classmethod
    def _refuse_fixed(cls, arguments: Mapping[str, Any]) -> None:
        for name in cls.fixed:
            if name in arguments:
                raise ValueError(f"{cls.__name__} takes no `{name}`. Received: {arguments[name]!r}")

    @property
    def _window(self) -> tuple[tuple[int, int], ops.Padding, tuple[int, int]]:
        return self.strides, self.padding, self.dilation_rate

    def _add_kernel(self, shape: tuple[int, ...], initializer: Any, **options: Any) -> Any:
        options = {"name": "kernel", "regularizer": self.kernel_regularizer, **options}
        return self.add_weight(shape=shape, initializer=initializer, **options)

    def _add_bias(self, filters: int, **options: Any) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(filters,), initializer=self.bias_initializer, **options
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {name: value for name, value in config.items() if name not in self.fixed}
