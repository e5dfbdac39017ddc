"""Rules for the conversion of layers: one function for each kind.

A rule takes the builder, the layer and its inputs, and returns the features. It raises
`Unsupported` with the reason where it cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from model.convert.activations import activate, mark
from model.convert.features import Features, Unsupported
from model.convert.geometry import (
    Grid,
    Window,
    linear_reads,
    nearest_reads,
    refine,
    slide,
    transposed_reads,
)
from model.layers import (
    MaskedBatchNormalization,
    MaskedGlobalAveragePooling2D,
    MaskedGlobalMaxPooling2D,
    MaskedGroupNormalization,
    MaskedUpSampling2D,
    PartialConv2DTranspose,
)
from model.layers.windows import (
    WindowAveragePooling2D,
    WindowConv2D,
    WindowDepthwiseConv2D,
    WindowMaxPooling2D,
)

if TYPE_CHECKING:
    from model.convert.building import Builder

Rule = Callable[["Builder", Any, list[Features]], Features]


def _get_grid(features: Features) -> Grid:
    if features.grid is None:
        raise Unsupported("its input is one value for the whole image")
    return features.grid


def _get_stride(value: Sequence[int]) -> int:
    if value[0] != value[1]:
        raise Unsupported(f"its strides differ: {value[0]} and {value[1]}")
    return int(value[0])


def _pass(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    """Leave out a layer that does nothing in a masked network."""
    del builder, layer
    return inputs[0]


def _keep(*, zero: bool, positive: bool | None = None) -> Rule:
    """Return the rule of a layer that looks at one pixel alone."""

    def rule(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
        features = inputs[0]
        is_positive = features.is_positive if positive is None else positive
        kept = features.replace(x=builder.copy(layer, features.x))
        return mark(kept, keeps_zero=zero, is_positive=is_positive)

    return rule


def _relu(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features = inputs[0].replace(x=builder.copy(layer, inputs[0].x))
    return mark(features, keeps_zero=layer.threshold == 0, is_positive=layer.negative_slope == 0)


def _prelu(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    if inputs[0].grid is not None and not {1, 2} <= set(layer.shared_axes or ()):
        raise Unsupported("it has a slope for each pixel, so it fits one size of image alone")
    return _keep(zero=True, positive=False)(builder, layer, inputs)


def _softmax(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    if layer.axis not in (-1, 3):
        raise Unsupported("it normalises over pixels")
    return _keep(zero=False, positive=True)(builder, layer, inputs)


def _activation(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    return activate(inputs[0], layer.activation, builder.name(layer))


def _convolve(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features = builder.masks.clean(inputs[0])
    if features.grid is None:
        if tuple(layer.kernel_size) != (1, 1):
            raise Unsupported("its kernel reads the border around one value for the whole image")
        return features.replace(x=builder.copy(layer, features.x))
    stride = _get_stride(layer.strides)
    dilation = layer.dilation_rate[0], layer.dilation_rate[1]
    window, grid = slide(features.grid, layer.kernel_size, stride, layer.padding, dilation)
    arguments = (window.kernel_size, window.stride, window.before, window.dilation)

    def make(kind: Any, *first: Any, **options: Any) -> Any:
        name = builder.name(layer)
        return kind(*first, *arguments, name=name, trainable=layer.trainable, **options)

    weights = layer.get_weights()
    coverage = builder.masks.cover(features.grid.stride, window)
    if isinstance(layer, keras.layers.SeparableConv2D):
        new = builder.make(
            layer,
            lambda: make(
                WindowDepthwiseConv2D, use_bias=False, depth_multiplier=layer.depth_multiplier
            ),
            weights[:1],
            [features.x, coverage],
        )
        return _mix(builder, layer, features.replace(x=new, grid=grid), weights[1:])
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        options = {"use_bias": layer.use_bias, "depth_multiplier": layer.depth_multiplier}
        kind: tuple[Any, ...] = (WindowDepthwiseConv2D,)
    else:
        options = {"use_bias": layer.use_bias, "groups": layer.groups}
        kind = (WindowConv2D, layer.filters)
    x = builder.make(layer, lambda: make(*kind, **options), weights, [features.x, coverage])
    result = Features(x, grid)
    return activate(result, layer.activation, builder.name(layer, "_activation"))


def _mix(builder: Builder, layer: Any, features: Features, weights: list[Any]) -> Features:
    """Convolve with a kernel of 1 × 1."""
    grid = _get_grid(features)
    pixel = Window((1, 1), 1, (0, 0))
    x = builder.make(
        layer,
        lambda: WindowConv2D(
            weights[0].shape[-1],
            1,
            use_bias=layer.use_bias,
            name=builder.name(layer, "_pointwise"),
            trainable=layer.trainable,
        ),
        weights,
        [features.x, builder.masks.cover(grid.stride, pixel)],
    )
    result = Features(x, grid)
    return activate(result, layer.activation, builder.name(layer, "_activation"))


def _dense(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features = builder.masks.clean(inputs[0])
    if features.grid is None:
        return features.replace(x=builder.copy(layer, features.x), is_positive=False)
    kernel, *bias = layer.get_weights()
    return _mix(builder, layer, features, [kernel[None, None], *bias])


def _transpose(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features, (height, width) = inputs[0], layer.kernel_size
    stride, grid = _get_stride(layer.strides), _get_grid(inputs[0])
    if layer.output_padding is not None or tuple(layer.dilation_rate) != (1, 1):
        raise Unsupported("it has an output padding or a dilation")
    if min(height, width) < stride:
        raise Unsupported("its kernel is smaller than its stride: some outputs have no input")
    _check_factor(grid, stride)
    same = layer.padding == "same"
    move = (0, 0) if same else (-((height - stride) // 2), -((width - stride) // 2))
    grid = refine(grid, stride, transposed_reads(max(height, width), stride), move)
    x, _ = builder.make(
        layer,
        lambda: PartialConv2DTranspose(
            layer.filters,
            layer.kernel_size,
            stride,
            use_bias=layer.use_bias,
            name=builder.name(layer),
            trainable=layer.trainable,
        ),
        layer.get_weights(),
        [features.x, builder.masks.at(_get_grid(features).stride), builder.masks.at(grid.stride)],
    )
    result = Features(x, grid, is_clean=True)
    return activate(result, layer.activation, builder.name(layer, "_activation"))


def _check_factor(grid: Grid, factor: int) -> None:
    if grid.stride % factor:
        raise Unsupported(
            f"it makes a map finer than its source: by {factor}, after a stride of {grid.stride}"
        )


def _upsample(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features = inputs[0]
    if features.grid is None:
        return features  # one value, repeated: it is still one value
    factor = _get_stride(layer.size)
    _check_factor(features.grid, factor)
    coarse, finer = features.grid.stride, builder.masks.at(features.grid.stride // factor)
    name = builder.name(layer)
    if layer.interpolation == "nearest":
        grid = refine(features.grid, factor, nearest_reads(factor))
        x = MaskedUpSampling2D(factor, name=name)([features.x, finer])
    elif layer.interpolation == "bilinear":
        grid = refine(features.grid, factor, linear_reads(factor))
        masks = [builder.masks.at(coarse), finer]
        x = MaskedUpSampling2D(factor, "bilinear", name=name)([features.x, *masks])
    else:
        raise Unsupported(f"its interpolation is {layer.interpolation}, not nearest or bilinear")
    return features.replace(x=x, grid=grid, is_clean=True)


def _pool(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features, grid = builder.masks.clean(inputs[0]), _get_grid(inputs[0])
    size = layer.pool_size[0], layer.pool_size[1]
    window, pooled = slide(grid, size, _get_stride(layer.strides), layer.padding)
    arguments, name = (window.kernel_size, window.stride, window.before), builder.name(layer)
    is_max = isinstance(layer, keras.layers.MaxPooling2D)
    if is_max and window.is_cell and features.is_positive:
        # Invalid pixels are 0 and valid ones are not less, so a plain maximum is a masked one.
        return features.replace(
            x=keras.layers.MaxPooling2D(size, name=name)(features.x), grid=pooled
        )
    coverage = builder.masks.cover(grid.stride, window)
    if is_max:
        masks = [builder.masks.at(grid.stride), coverage]
        x = WindowMaxPooling2D(*arguments, name=name)([features.x, *masks])
    else:
        x = WindowAveragePooling2D(*arguments, name=name)([features.x, coverage])
    return features.replace(x=x, grid=pooled)


def _normalize_batch(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features = inputs[0]
    if features.grid is None:
        return features.replace(x=builder.copy(layer, features.x), is_positive=False)
    if layer.axis not in (-1, 3):
        raise Unsupported("it normalises along another axis than that of the channels")
    weights = list(layer.get_weights())
    mean, variance = weights[-2:]
    gamma = weights.pop(0) if layer.scale else np.ones_like(mean)
    beta = weights.pop(0) if layer.center else np.zeros_like(mean)
    x = builder.make(
        layer,
        lambda: MaskedBatchNormalization(
            layer.momentum, layer.epsilon, name=builder.name(layer), trainable=layer.trainable
        ),
        [gamma, beta, mean, variance],
        [features.x, builder.masks.at(features.grid.stride)],
    )
    return Features(x, features.grid)


def _normalize_groups(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    features, grid = inputs[0], _get_grid(inputs[0])
    if layer.axis not in (-1, 3) or not (layer.scale and layer.center):
        raise Unsupported("it has no scale and offset for each channel")
    x = builder.make(
        layer,
        lambda: MaskedGroupNormalization(layer.groups, layer.epsilon, name=builder.name(layer)),
        layer.get_weights(),
        [features.x, builder.masks.at(grid.stride)],
    )
    return Features(x, builder.mark_unlimited(grid))


def _pool_globally(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    grid = _get_grid(inputs[0])
    is_max = isinstance(layer, keras.layers.GlobalMaxPooling2D)
    kind = MaskedGlobalMaxPooling2D if is_max else MaskedGlobalAveragePooling2D
    x = kind(keepdims=True, name=builder.name(layer))([inputs[0].x, builder.masks.at(grid.stride)])
    builder.mark_unlimited(grid)
    return inputs[0].replace(x=x, grid=None, is_clean=False)


def _reshape(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    del builder
    features = inputs[0]
    if features.grid is not None or math.prod(layer.target_shape) != features.x.shape[-1]:
        raise Unsupported("it fits one size of image alone, or mixes pixels with channels")
    return features


def _shift(sign: int, attribute: str) -> Rule:
    """Return the rule of padding and cropping, which change the offset alone."""

    def rule(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
        del builder
        (top, _), (left, _) = getattr(layer, attribute)
        grid = _get_grid(inputs[0]).shift((sign * top, sign * left))
        return inputs[0].replace(grid=grid)

    return rule


def _merge(*, positive: bool) -> Rule:
    """Return the rule of a layer that combines pixels with those at the same place."""

    def rule(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
        grid = _unite(inputs)
        x = builder.copy(layer, [features.x for features in inputs])
        clean = all(features.is_clean for features in inputs)
        if isinstance(layer, keras.layers.Multiply):
            clean = any(features.is_clean for features in inputs)
        is_positive = positive and all(features.is_positive for features in inputs)
        return Features(x, grid, clean, is_positive)

    return rule


def _concatenate(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    if layer.axis not in (-1, 3):
        raise Unsupported("it joins pixels, not channels")
    grid = _unite(inputs)
    if grid is not None:
        inputs = [
            builder.masks.spread(features, grid) if features.grid is None else features
            for features in inputs
        ]
    return _merge(positive=True)(builder, layer, inputs)


def _unite(inputs: list[Features]) -> Grid | None:
    grids = [features.grid for features in inputs if features.grid is not None]
    if not grids:
        return None
    united = grids[0]
    for grid in grids[1:]:
        if grid.stride != united.stride:
            raise Unsupported(
                f"its inputs have strides of {united.stride} and {grid.stride}: they fit one size "
                "of image alone"
            )
        if grid.offset != united.offset:
            raise Unsupported(
                f"its inputs are shifted against each other: they begin in the cells "
                f"{united.offset} and {grid.offset}"
            )
        united = united.unite(grid)
    return united


def _layer_norm(builder: Builder, layer: Any, inputs: list[Features]) -> Features:
    if layer.axis not in (-1, 3, [-1], [3]):
        raise Unsupported("it takes statistics over pixels")
    return _keep(zero=False, positive=False)(builder, layer, inputs)


_AUGMENTATIONS = (
    "Brightness", "ColorDegeneration", "ColorJitter", "Contrast", "ElasticTransform", "Erasing",
    "Flip", "GaussianBlur", "Grayscale", "Hue", "Invert", "Perspective", "Posterization",
    "Rotation", "Saturation", "Sharpness", "Shear", "Translation", "Zoom",
)  # fmt: skip
"""Layers of random changes in training, without `Random` at the front. They do nothing after it."""

RULES: dict[str, Rule] = {
    **{f"Random{kind}": _pass for kind in _AUGMENTATIONS},
    "Conv2D": _convolve,
    "DepthwiseConv2D": _convolve,
    "SeparableConv2D": _convolve,
    "Conv2DTranspose": _transpose,
    "Dense": _dense,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "UpSampling2D": _upsample,
    "BatchNormalization": _normalize_batch,
    "LayerNormalization": _layer_norm,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _keep(zero=True, positive=False),
    "PReLU": _prelu,
    "ELU": _keep(zero=True, positive=False),
    "Softmax": _softmax,
    "Add": _merge(positive=True),
    "Subtract": _merge(positive=False),
    "Multiply": _merge(positive=True),
    "Average": _merge(positive=True),
    "Maximum": _merge(positive=True),
    "Minimum": _merge(positive=True),
    "Concatenate": _concatenate,
    "Dropout": _keep(zero=True),
    "SpatialDropout2D": _keep(zero=True),
    "AlphaDropout": _keep(zero=False, positive=False),
    "GaussianDropout": _keep(zero=True, positive=False),
    "GaussianNoise": _keep(zero=False, positive=False),
    "ActivityRegularization": _pass,
    "Identity": _pass,
    "ZeroPadding2D": _shift(-1, "padding"),
    "Cropping2D": _shift(1, "cropping"),
    "Rescaling": _keep(zero=False, positive=False),
    "Normalization": _keep(zero=False, positive=False),
    "Reshape": _reshape,
}
"""Rules by the class of the layer."""

ALLOWED: dict[str, Rule] = {
    "GlobalAveragePooling2D": _pool_globally,
    "GlobalMaxPooling2D": _pool_globally,
    "GroupNormalization": _normalize_groups,
}
"""Rules of layers that take statistics over the image: of its valid pixels, where allowed."""
