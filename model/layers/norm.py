"""Batch normalisation over valid pixels only."""

from __future__ import annotations

from typing import Any

import keras

from model import ops
from model.layers.arguments import read_channels, read_inputs


@keras.saving.register_keras_serializable("lacuna")
class MaskedBatchNormalization(keras.layers.Layer):
    """Batch normalisation with moments over the valid pixels of the batch.

        training:  y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
        inference: the same with the moving averages, an affine map that folds into a convolution

    Invalid inputs count as 0; the output is not masked. The moving averages stay as they are when a
    batch has no valid pixel.

    Args:
        momentum: of the moving averages.
        epsilon: added to the variance.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, mask]`: float (N, H, W, C), bool (N, H, W, 1).
        training: whether to use and track the moments of the batch; not where `trainable` is False.

    Returns:
        Like x.

    Raises:
        ValueError: for a mask that is not bool (N, H, W, 1) or not of the size of x.

    Examples:
        >>> x = tf.constant([1.0, 5.0, np.nan, np.nan], shape=(1, 1, 4, 1))
        >>> mask = tf.math.is_finite(x)
        >>> layer = MaskedBatchNormalization(epsilon=1e-6)
        >>> y = layer([x, mask], training=True)  # mean 3, deviation 2
        >>> y[:, :, :2].numpy().round(3).ravel()
        array([-1.,  1.], dtype=float32)

    Reference:
        Ioffe & Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)

    def build(self, input_shape: Any) -> None:
        """Create the scale, the offset and the moving averages."""
        shape = (read_channels(input_shape[0]),)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        # As the moments of a batch are, whatever the policy.
        moving = {"shape": shape, "dtype": "float32", "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **moving)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **moving)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> keras.KerasTensor:  # noqa: ARG002
        """Return the shape and dtype without tracing."""
        x, _, _ = read_inputs(inputs)
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Normalise, and in training track the moments."""
        x, mask, _ = read_inputs(inputs)
        # Before any arithmetic, because the gradient of a product with NaN is NaN, masked or not.
        x = ops.fill_invalid(x, mask)
        if training and self.trainable:  # as in Keras
            mean, variance, count = ops.masked_moments(x, mask)
            self._track(mean, variance, count)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        scale, offset = self._affine(mean, variance)
        return x * keras.ops.cast(scale, x.dtype) + keras.ops.cast(offset, x.dtype)

    def inference_affine(self) -> tuple[Any, Any]:
        """Return the scale and offset of each channel in inference, float32 (C,) each."""
        return self._affine(self.moving_mean, self.moving_variance)

    def _affine(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        scale = keras.ops.cast(self.gamma, "float32") * keras.ops.rsqrt(variance + self.epsilon)
        return scale, keras.ops.cast(self.beta, "float32") - mean * scale

    def _track(self, mean: Any, variance: Any, count: Any) -> None:
        momentum = keras.ops.where(count > 0, self.momentum, 1.0)
        for average, moment in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * momentum + moment * (1.0 - momentum))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
