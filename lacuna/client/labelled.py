"""Labelled arrays: those of xarray, told by their attributes, so that xarray is not needed.

1. Of three dimensions, the one that is named like channels becomes the last.
2. A mask has its dimensions in the order of the image's.
3. The attribute `_FillValue` is the no-data value, unless another is given.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lacuna.client.calls import Question

_CHANNEL_NAMES = frozenset({"band", "bands", "channel", "channels", "c"})


class LabelledArray(Protocol):
    """An array whose dimensions have names, such as `xarray.DataArray`."""

    @property
    def dims(self) -> tuple[Hashable, ...]:
        """Names of the dimensions."""
        ...

    @property
    def coords(self) -> Mapping[Any, Any]:
        """Coordinates, by name."""
        ...

    @property
    def attrs(self) -> Mapping[Any, Any]:
        """Attributes, by name."""
        ...

    @property
    def values(self) -> NDArray[Any]:
        """Values."""
        ...

    def transpose(self, *dims: Hashable) -> LabelledArray:
        """Return the array with its dimensions in another order."""
        ...


_ATTRIBUTES = ("dims", "coords", "attrs", "values", "transpose", "ndim")
"""Attributes by which a labelled array is told; a data set of xarray has no `ndim`."""


def is_labelled(source: object) -> TypeGuard[LabelledArray]:
    """Return whether a source is a labelled array."""
    # Of the class: `values` of an array may be read from a file.
    return all(hasattr(type(source), name) for name in _ATTRIBUTES)


def order_channels_last(array: LabelledArray) -> LabelledArray:
    """Return a labelled array whose dimension of channels, if one is named so, is the last."""
    channels = [name for name in array.dims if str(name).lower() in _CHANNEL_NAMES]
    others = [name for name in array.dims if name not in channels]
    return array.transpose(*others, *channels) if channels else array


def find_plane_dims(image: LabelledArray) -> tuple[Hashable, ...]:
    """Return the names of an image's rows and columns."""
    dims = order_channels_last(image).dims
    return dims[:2] if len(dims) < 4 else dims[1:3]


def take_values(question: Question) -> Question:
    """Return a question whose image and mask are arrays of NumPy, if they were labelled ones."""
    image, mask, nodata = question.image, question.mask, question.nodata
    if is_labelled(image):
        fill = image.attrs.get("_FillValue")
        if nodata is None and isinstance(fill, Real | np.number):
            nodata = float(fill)
        if is_labelled(mask) and set(mask.dims) == set(find_plane_dims(image)):
            mask = mask.transpose(*find_plane_dims(image))
        image = order_channels_last(image).values
    if is_labelled(mask):
        mask = order_channels_last(mask).values
    if image is question.image and mask is question.mask:
        return question
    return replace(question, image=image, mask=mask, nodata=nodata)


def label(
    values: NDArray[Any], image: object, name: str, attrs: Mapping[str, Any], classes: list[str]
) -> Any:
    """Return values as an `xarray.DataArray`, with the coordinates of the image that was one.

    Args:
        values: (H, W), or (H, W, K) for the classes.
        image: the image; its coordinates are taken if it is a labelled array.
        name: name of the array.
        attrs: attributes of the array.
        classes: names of the K classes.

    Raises:
        ModuleNotFoundError: if xarray is not installed.
    """
    import xarray  # noqa: PLC0415 (optional)

    dims: tuple[Hashable, ...] = ("y", "x")
    coords: dict[Hashable, Any] = {}
    if is_labelled(image):
        dims = find_plane_dims(image)
        coords = {key: found for key, found in image.coords.items() if set(found.dims) <= set(dims)}
    if values.ndim == 3:
        dims = (*dims, "class")
        coords["class"] = classes
    return xarray.DataArray(values, dims=dims, coords=coords, name=name, attrs=dict(attrs))
