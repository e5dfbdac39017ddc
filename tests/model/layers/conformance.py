"""Every layer, how it is built and called, and what it is to compute: one row each.

`test_every_layer.py` holds each row to what every layer promises. A layer that has no row fails a
test there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import keras
import numpy as np

from model.layers import (
    AppendMask,
    CoverageScale,
    CropToSize,
    CutUpSampling2D,
    DepthwisePartialConv2D,
    EmbedMask,
    FillByReflection,
    FillInvalid,
    KernelMaskedConv2D,
    MaskedAveragePooling2D,
    MaskedBatchNormalization,
    MaskedConcatenate,
    MaskedGlobalAveragePooling2D,
    MaskedGlobalMaxPooling2D,
    MaskedGroupNormalization,
    MaskedInstanceNormalization,
    MaskedMaxPooling2D,
    MaskedUpSampling2D,
    MaskMaxPooling2D,
    NormalizedConv2D,
    PadToMultiple,
    PartialConv2D,
    PartialConv2DTranspose,
    ScaleAndShift,
    SeparablePartialConv2D,
    SubmanifoldConv2D,
    ValidityFromNoData,
)
from tests.support import references
from tests.support.references import Reservation

CHANNELS = 4


class Case(NamedTuple):
    """A layer and what it is held to.

    Attributes:
        make: builds the layer; takes `dtype`.
        call: `(layer, x, mask)` to `(y, mask of y)`, on tensors or on KerasTensors.
        reference: `(layer, x, mask)` to the same in NumPy, from the formulas.
        promise: "exact": not a bit of a valid output depends on canvas or batch-mates; "close": up
            to rounding, since it takes statistics over an image; "batch": over the batch, so that
            only the canvas may change.
        grows: whether a larger canvas has more valid outputs: the mask grows over padding, or what
            was cut off at the border is not.
        clears: whether an image without valid pixels gives zeros.
        variant: one of many of the same layer, not saved and loaded again.
    """

    make: Callable[..., Any]
    call: Callable[[Any, Any, Any], tuple[Any, Any]]
    reference: Callable[[Any, Any, Any], tuple[Any, Any]]
    promise: Literal["exact", "close", "batch"] = "exact"
    grows: bool = False
    clears: bool = True
    variant: bool = False


def pair(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Call a layer that takes and returns features and mask."""
    return layer([x, mask])


def on_features(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Call a layer that returns features alone."""
    return layer([x, mask]), mask


def refilled(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Call a layer that leaves its outputs unmasked."""
    return FillInvalid(dtype=layer.compute_dtype)([layer([x, mask]), mask]), mask


def symbolic_box(mask: Any) -> Any:
    """Do what `box` does on tensors."""
    rows = keras.ops.any(mask, axis=2, keepdims=True)
    return keras.ops.logical_and(rows, keras.ops.any(mask, axis=1, keepdims=True))


def with_extent(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Call a layer with the box of the valid pixels as the image's extent."""
    return layer([x, mask, symbolic_box(mask)])


def box(mask: Any) -> Any:
    """Give the extent that `with_extent` gives."""
    return mask.any(axis=2, keepdims=True) & mask.any(axis=1, keepdims=True)


def initializers() -> dict[str, Any]:
    """Give initializers that draw the same weights each time, and a bias that shows."""
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.3, seed=2),
        "bias_initializer": keras.initializers.RandomNormal(stddev=0.5, seed=1),
    }


def place_of(layer: Any) -> Reservation:
    """Give where a layer puts its kernel."""
    return Reservation(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)


def bias_of(layer: Any) -> Any:
    """Give a layer's bias, 0 if it has none."""
    return np.zeros(1) if layer.bias is None else np.asarray(layer.bias)


def refer(kernel_of: Callable[[Any], Any], **options: Callable[[Any, Any], Any]) -> Any:
    """Give the reference of a layer that is a convolution with some kernel (kh, kw, C, F)."""

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        y, updated = references.masked_conv2d(
            x,
            mask,
            np.asarray(kernel_of(layer)),
            bias_of(layer),
            place_of(layer),
            layer.normalization,
            layer.mask_update,
            **{name: option(layer, mask) for name, option in options.items()},
        )
        return np.where(updated, np.asarray(layer.activation(y)), layer.fill_value), updated

    return reference


def plain_kernel(layer: Any) -> Any:
    """Give a kernel (kh, kw, C, F)."""
    return np.asarray(layer.kernel)


def convolution(**arguments: Any) -> Case:
    """Give a partial convolution."""
    grows = arguments.get("mask_update") == "any"
    return Case(
        lambda **kwargs: PartialConv2D(4, 3, **{**initializers(), **arguments, **kwargs}),
        pair,
        refer(plain_kernel),
        grows=grows,
    )


def modes() -> dict[str, Case]:
    """Give every mode of a partial convolution."""
    return {
        f"conv {normalization} {update} stride {strides}": convolution(
            normalization=normalization, mask_update=update, strides=strides
        )._replace(variant=True)
        for normalization in ("none", "mean", "area", "variance")
        for update in ("keep", "any", "all")
        for strides in (1, 2)
    }


def depthwise(**arguments: Any) -> Case:
    """Give a depthwise convolution."""
    return Case(
        lambda **kwargs: DepthwisePartialConv2D(3, **{**initializers(), **arguments, **kwargs}),
        pair,
        refer(lambda layer: references.depthwise_kernel(np.asarray(layer.kernel))),
    )


def separable(**arguments: Any) -> Case:
    """Give a separable convolution, which is one with the product of its kernels."""

    def kernel(layer: Any) -> Any:
        first = references.depthwise_kernel(np.asarray(layer.depthwise_kernel))
        return np.einsum("hwcm,mf->hwcf", first, np.asarray(layer.pointwise_kernel)[0, 0])

    def make(**kwargs: Any) -> Any:
        second = keras.initializers.RandomNormal(stddev=0.3, seed=3)
        options = {**initializers(), "pointwise_initializer": second, **arguments, **kwargs}
        return SeparablePartialConv2D(5, 3, **options)

    return Case(make, pair, refer(kernel))


def kernel_masked(kernel_mask: Any, **arguments: Any) -> Case:
    """Give a convolution with holes in its kernel."""

    def make(**kwargs: Any) -> Any:
        return KernelMaskedConv2D(5, kernel_mask, **{**initializers(), **arguments, **kwargs})

    def taps(layer: Any, mask: Any) -> Any:
        used = np.asarray(kernel_mask, bool)
        used = used if used.ndim == 4 else used[..., None, None]
        return np.broadcast_to(used, layer.kernel.shape)

    return Case(make, pair, refer(plain_kernel, taps=taps))


def transpose(kernel_size: Any, strides: Any, *, finer: bool = False, **arguments: Any) -> Case:
    """Give a transposed convolution."""

    def make(**kwargs: Any) -> Any:
        options = {**initializers(), **arguments, **kwargs}
        return PartialConv2DTranspose(5, kernel_size, strides, **options)

    def call(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        return layer([x, mask, finer_extent(mask)] if finer else [x, mask])

    def finer_extent(mask: Any) -> Any:
        inside = box(mask) if isinstance(mask, np.ndarray) else symbolic_box(mask)
        return repeat(inside, layer_strides)

    layer_strides = (strides, strides) if isinstance(strides, int) else strides

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        return references.masked_conv2d_transpose(
            x,
            mask,
            np.asarray(layer.kernel),
            bias_of(layer),
            layer.strides,
            layer.normalization,
            np.asarray(finer_extent(mask)) if finer else None,
        )

    return Case(make, call, reference)


def repeat(mask: Any, factors: tuple[int, int]) -> Any:
    """Repeat rows and columns of a mask."""
    return keras.ops.repeat(keras.ops.repeat(mask, factors[0], axis=1), factors[1], axis=2)


def normalized(*, extent: bool = False, **arguments: Any) -> Case:
    """Give a normalised convolution, its confidence as a further channel."""

    def make(**kwargs: Any) -> Any:
        return NormalizedConv2D(5, 3, **{**initializers(), **arguments, **kwargs})

    def call(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        y, seen = (with_extent if extent else pair)(layer, x, mask)
        return keras.ops.concatenate([y, keras.ops.cast(seen, y.dtype)], axis=-1), seen > 0

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        kernel = np.asarray(layer.kernel).astype(np.float64)
        a = np.exp(kernel) if layer.applicability == "exp" else np.log1p(np.exp(kernel))
        y, seen = references.normalized_conv2d(
            x, mask, a, bias_of(layer), place_of(layer), box(mask) if extent else None
        )
        return np.concatenate([y, seen], axis=-1), seen > 0

    return Case(make, call, reference, grows=not extent)


def pool(layer_class: Any, reduce: Callable[[Any], Any], size: Any = 2) -> Case:
    """Give a pooling in cells."""
    return Case(
        lambda **kwargs: layer_class(size, **kwargs),
        pair,
        lambda layer, x, mask: references.pool_cells(x, mask, layer.pool_size, reduce),
    )


def global_pool(layer_class: Any, reduce: Callable[[Any], Any], promise: Any) -> Case:
    """Give a pooling over whole images."""

    def call(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        return layer([x, mask]), keras.ops.any(mask, axis=(1, 2))

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        y, valid = references.pool_cells(x, mask, x.shape[1:3], reduce)
        return y[:, 0, 0], valid[:, 0, 0]

    return Case(layer_class, call, reference, promise)


def upsample(interpolation: str, factor: int = 2) -> Case:
    """Give an upsampling onto the mask's own pixels, made finer."""

    def call(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        finer = repeat(mask, (factor, factor))
        return layer([x, finer] if interpolation == "nearest" else [x, mask, finer]), finer

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        finer = np.kron(mask, np.ones((1, factor, factor, 1))) > 0
        if interpolation == "bilinear":
            return references.upsample_bilinear(x, mask, finer, factor), finer
        y = np.kron(np.where(mask, x, 0), np.ones((1, factor, factor, 1)))
        return y, finer

    return Case(
        lambda **kwargs: MaskedUpSampling2D(factor, interpolation, **kwargs), call, reference
    )


def cut_upsample(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Call the exported form, which wants finite features."""
    finer = repeat(mask, (2, 2))
    return layer([FillInvalid()([x, mask]), finer]), finer


def batch_norm(*, training: bool) -> Case:
    """Give batch normalisation."""

    def call(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        y = layer([x, mask], training=training)
        return FillInvalid(dtype=layer.compute_dtype)([y, mask]), mask

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        chosen = x[mask[..., 0]].astype(np.float64)
        mean, variance = np.zeros(x.shape[-1]), np.ones(x.shape[-1])
        if training and len(chosen):
            mean, variance = chosen.mean(axis=0), chosen.var(axis=0)
        return np.where(mask, (x - mean) / np.sqrt(variance + layer.epsilon), 0), mask

    promise: Any = "batch" if training else "exact"
    return Case(MaskedBatchNormalization, call, reference, promise, variant=training)


def image_norm(make: Callable[..., Any], groups: int) -> Case:
    """Give a normalisation by each image's statistics."""

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        gamma, beta = np.asarray(layer.gamma), np.asarray(layer.beta)
        y = references.image_norm(x, mask, groups, gamma, beta, layer.epsilon)
        return np.where(mask, y, 0), mask

    return Case(make, refilled, reference, "close")


def validity(*, alpha: bool) -> Case:
    """Give the search for valid pixels, in an image that has a mask already."""

    def reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        valid = mask & (x[..., -1:] > 0) if alpha else mask
        return np.where(valid, x[..., :-1] if alpha else x, 0), valid

    return Case(lambda **kwargs: ValidityFromNoData(-9999, alpha, **kwargs), pair, reference)


def known(x: Any, mask: Any) -> Any:
    """Set what is invalid to 0, in NumPy."""
    return np.where(mask, x, 0)


def pad_reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Pad both with NumPy."""
    around = [(0, 0), *((0, -side % layer.multiple) for side in x.shape[1:3]), (0, 0)]
    return np.pad(known(x, mask), around), np.pad(mask, around)


def embed_reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Append the mask, then pad both."""
    return pad_reference(layer, np.concatenate([x, mask], axis=-1), mask)


def reflection_reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Turn cells of growing size over, first from left to right and then from top to bottom."""
    cell = 2**layer.levels
    around = [(0, 0), *((0, -side % cell) for side in x.shape[1:3]), (0, 0)]
    y, given = np.pad(known(x, mask), around), np.pad(mask, around)
    filled = given.copy()
    for side in 2 ** np.arange(1, layer.levels + 1):
        for axis in (2, 1):
            for top, left in np.ndindex(y.shape[1] // side, y.shape[2] // side):
                here = np.s_[:, top * side : (top + 1) * side, left * side : (left + 1) * side]
                turned, there = np.flip(y[here], axis), np.flip(filled[here], axis)
                y[here], filled[here] = (
                    np.where(filled[here], y[here], turned),
                    filled[here] | there,
                )
    return np.concatenate([y, filled & ~given], axis=-1), filled


def crop(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Crop to a mask that lacks a row and two columns."""
    inner = mask[:, :-1, :-2]
    return layer([x, inner]), inner


def scale_by_coverage(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Multiply features that are 0 where invalid by the map."""
    filled = keras.ops.cast(FillInvalid()([x, mask]), layer.compute_dtype)
    return filled * layer(mask), mask


def make_scale_and_shift(**kwargs: Any) -> Any:
    """Build the layer with an offset that shows."""
    layer = ScaleAndShift(**kwargs)
    layer.build([(None, None, None, CHANNELS), (None, None, None, 1)])
    layer.shift.assign(np.linspace(-1, 1, CHANNELS))
    return layer


def scale_and_shift(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Renormalise features that are 0 where invalid, and mask what comes of it."""
    filled = keras.ops.cast(FillInvalid()([x, mask]), layer.compute_dtype)
    coverage = CoverageScale(3, dtype=layer.dtype_policy)(mask)
    return FillInvalid(dtype=layer.dtype_policy)([layer([filled, coverage]), mask]), mask


def scale_and_shift_reference(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Do the same in NumPy."""
    y = known(x, mask) * references.coverage(mask, 3) + np.asarray(layer.shift)
    return np.where(mask, y, 0), mask


def pool_mask(layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    """Pool features along with the mask that the layer pools."""
    y, _ = MaskedMaxPooling2D(layer.factor)([x, mask])
    return keras.ops.cast(y, layer.compute_dtype), layer(mask)


def highest(chosen: Any) -> Any:
    """Maximum of pixels (n, C)."""
    return chosen.max(axis=0)


def mean(chosen: Any) -> Any:
    """Mean of pixels (n, C)."""
    return chosen.mean(axis=0)


def gather_extent(case: Case) -> Case:
    """Give the same layer, told the extent of the image."""
    return case._replace(
        call=with_extent,
        reference=refer(plain_kernel, extent=lambda layer, mask: box(mask)),
        grows=False,
    )


_CROSS = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
_TAPS = (np.random.default_rng(5).random((3, 3, CHANNELS, 5)) < 0.4).astype(int).tolist()

CASES: dict[str, Case] = {
    **modes(),
    "conv": convolution(activation="relu", fill_value=2.5, kernel_regularizer="l2"),
    "conv stride 3": convolution(strides=3)._replace(variant=True),
    "conv dilated": convolution(dilation_rate=2)._replace(variant=True),
    "conv unpadded": convolution(padding="valid", strides=(1, 2), use_bias=False)._replace(
        variant=True, grows=True
    ),
    "conv in groups": convolution(groups=2)._replace(
        reference=refer(lambda layer: references.grouped_kernel(plain_kernel(layer), 2))
    ),
    "conv any inside the extent": gather_extent(convolution(mask_update="any")),
    "conv any inside the extent, stride 2": gather_extent(
        convolution(mask_update="any", strides=2)
    )._replace(variant=True),
    "depthwise": depthwise(depth_multiplier=2, strides=2),
    "depthwise dilated": depthwise(dilation_rate=2)._replace(variant=True),
    "separable": separable(depth_multiplier=2, normalization="variance"),
    "separable stride 2": separable(strides=2, mask_update="all")._replace(variant=True),
    "submanifold": Case(
        lambda **kwargs: SubmanifoldConv2D(5, 3, dilation_rate=2, **initializers(), **kwargs),
        pair,
        refer(plain_kernel),
    ),
    "kernel mask": kernel_masked(_CROSS),
    "kernel mask of each channel and filter": kernel_masked(_TAPS, normalization="mean"),
    "kernel mask of each channel and filter, all": kernel_masked(
        _TAPS, mask_update="all", strides=2
    )._replace(variant=True),
    "transpose": transpose(4, 2),
    "transpose of cells": transpose(2, 2, normalization="variance")._replace(variant=True),
    "transpose uneven": transpose((3, 5), (2, 3), normalization="mean")._replace(variant=True),
    "transpose onto the extent": transpose(5, 2, finer=True),
    "normalized": normalized(),
    "normalized exp stride 2": normalized(applicability="exp", strides=2)._replace(variant=True),
    "normalized inside the extent": normalized(extent=True),
    "max pooling": pool(MaskedMaxPooling2D, highest),
    "max pooling of oblong cells": pool(MaskedMaxPooling2D, highest, (3, 2))._replace(variant=True),
    "average pooling": pool(MaskedAveragePooling2D, mean),
    "average pooling of oblong cells": pool(MaskedAveragePooling2D, mean, (3, 2))._replace(
        variant=True
    ),
    "global max pooling": global_pool(MaskedGlobalMaxPooling2D, highest, "exact"),
    "global average pooling": global_pool(MaskedGlobalAveragePooling2D, mean, "close"),
    "nearest upsampling": upsample("nearest"),
    "bilinear upsampling": upsample("bilinear"),
    "bilinear upsampling by 3": upsample("bilinear", 3)._replace(variant=True),
    "exported upsampling": Case(CutUpSampling2D, cut_upsample, upsample("nearest").reference),
    "batch norm in inference": batch_norm(training=False),
    "batch norm in training": batch_norm(training=True),
    "group norm": image_norm(lambda **kwargs: MaskedGroupNormalization(2, **kwargs), 2),
    "instance norm": image_norm(MaskedInstanceNormalization, CHANNELS),
    "validity": validity(alpha=False),
    "validity with alpha": validity(alpha=True),
    "fill": Case(FillInvalid, on_features, lambda layer, x, mask: (known(x, mask), mask)),
    "coverage": Case(
        lambda **kwargs: CoverageScale(5, **kwargs),
        scale_by_coverage,
        lambda layer, x, mask: (known(x, mask) * references.coverage(mask, 5), mask),
    ),
    "scale and shift": Case(make_scale_and_shift, scale_and_shift, scale_and_shift_reference),
    "mask pooling": Case(
        lambda **kwargs: MaskMaxPooling2D(3, **kwargs),
        pool_mask,
        lambda layer, x, mask: references.pool_cells(x, mask, (3, 3), highest),
    ),
    "pad": Case(lambda **kwargs: PadToMultiple(4, **kwargs), pair, pad_reference, clears=False),
    "embed mask": Case(lambda **kwargs: EmbedMask(4, **kwargs), pair, embed_reference),
    "fill by reflection": Case(
        lambda **kwargs: FillByReflection(2, **kwargs), pair, reflection_reference
    ),
    "crop": Case(
        CropToSize,
        crop,
        lambda layer, x, mask: (known(x, mask)[:, :-1, :-2], mask[:, :-1, :-2]),
        grows=True,
        clears=False,
    ),
    "append": Case(
        AppendMask,
        on_features,
        lambda layer, x, mask: (np.concatenate([known(x, mask), mask], axis=-1), mask),
        clears=False,
    ),
    "concatenate": Case(
        MaskedConcatenate,
        lambda layer, x, mask: layer([x, mask, x, mask]),
        lambda layer, x, mask: (np.concatenate([known(x, mask)] * 2, axis=-1), mask),
        clears=False,
    ),
}
