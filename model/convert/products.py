"""Converted networks for export: selections become products where features are finite.

A selection by a mask of one channel takes TensorFlow longer than a product.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from model.convert.graphs import Readers, remake
from model.layers import (
    CutUpSampling2D,
    FillInvalid,
    MaskedUpSampling2D,
    PadToMultiple,
    PartialConv2DTranspose,
)
from model.layers.converted import (
    CellConv2DTranspose,
    FillIncomplete,
    LinearUpSampling2D,
    MaskProduct,
)

_BY_PIXEL = (keras.layers.Rescaling, keras.layers.Normalization)


def multiply(network: keras.Model) -> keras.Model:
    """Return the same function, in which only the image is masked by a selection.

    Whatever stands under the mask of the image, NaN included, ends there.

    Args:
        network: from `convert`; it is not changed.
    """
    gone, kept = _find_first_fill(network)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if id(operation) in gone:
            return args[0][0]
        if isinstance(operation, FillInvalid):
            return (FillIncomplete() if id(operation) in kept else MaskProduct())(args[0])
        if isinstance(operation, PartialConv2DTranspose) and _is_cell(operation):
            x, _, finer = args[0]
            return _call_cells(operation, x, finer), finer
        if isinstance(operation, MaskedUpSampling2D) and operation.interpolation == "bilinear":
            return LinearUpSampling2D(operation.factor)(args[0])
        if isinstance(operation, MaskedUpSampling2D) and operation.factor == 2:
            return CutUpSampling2D()(args[0])
        return operation(*args, **kwargs)

    return remake(network, call)


def _find_first_fill(network: keras.Model) -> tuple[set[int], set[int]]:
    """Find the selections that the image needs: the last one before pixels are mixed."""
    chains = Readers(network)
    gone: set[int] = set()
    kept: set[int] = set()
    for layer in network.layers:
        if not isinstance(layer, FillInvalid):
            continue
        if not isinstance(chains.before(layer), PadToMultiple):
            continue
        following = chains.after(layer)
        while isinstance(following, _BY_PIXEL):
            following = chains.after(following)
        is_masked_again = isinstance(following, FillInvalid)
        kept.add(id(following if is_masked_again else layer))
        gone |= {id(layer)} if is_masked_again else set()
    return gone, kept


def _is_cell(layer: PartialConv2DTranspose) -> bool:
    return layer.kernel_size == layer.strides and layer.strides[0] == layer.strides[1]


def _call_cells(layer: PartialConv2DTranspose, x: Any, finer: Any) -> Any:
    cells = CellConv2DTranspose(layer.filters, layer.strides[0])
    y = cells([x, finer])
    kernel, *bias = layer.get_weights()
    cells.set_weights([kernel, *(bias or [np.zeros(layer.filters, np.float32)])])
    return y
