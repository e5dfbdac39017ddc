"""Fitting of a decoded image to a model: units, channels, validity.

Units. Pictures carry intensities, which are scaled from their bit depth to the model's. Arrays
carry numbers, which are taken as they are; so are all numbers for a float32 model.
Channels. The same number is taken as it is; one is repeated where three are wanted; three are
taken for one where they are equal, which is a grey picture saved as colour.
Validity. A pixel is valid if the mask given and the file itself say so, it does not hold the
no-data value in all its channels, and all its channels are finite. The no-data value is the one
given, or else that of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ChannelMismatchError, InvalidImageError
from lacuna.excerpts import list_names
from lacuna.raster.limits import suggest_channels_last
from lacuna.raster.masks import check_mask_fits
from lacuna.raster.nodata import NoData, equals_nodata
from lacuna.raster.raster import Raster
from lacuna.sample import Sample

Depth = Literal["uint8", "uint16", "float32"]

_TAKEN: dict[int, tuple[int, ...]] = {1: (1, 3), 3: (1, 3)}
"""Numbers of channels that are taken for another one."""

_SHOWN = 4
"""Most bands of an example."""

_WHITE: dict[Depth, int | None] = {"uint8": 255, "uint16": 65535, "float32": None}


def fit_to_model(
    raster: Raster,
    channels: int,
    dtype: Depth,
    *,
    mask: NDArray[np.bool_] | None = None,
    nodata: NoData | None = None,
    model: str = "the model",
    names: Sequence[str] = (),
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Bring an image to the channels and units of a model, and tell its valid pixels.

    Args:
        raster: the image.
        channels: how many the model takes.
        dtype: the depth whose raw values the model takes.
        mask: bool (H, W), True = valid; None if none was given.
        nodata: the value of missing pixels in the raster's own units, in place of those that the
            file names; None for these.
        model: what wants the channels, for the message: "model groundcover".
        names: of the channels that the model takes, for the message; empty if they have none.

    Returns:
        values (H, W, channels) uint8, uint16 or float32, float32 wherever scaling gave fractions;
        and bool (H, W), True = valid.

    Raises:
        InvalidMaskError: if the mask is not of the image's size.
        ChannelMismatchError: if the image's channels cannot be taken for the model's.
    """
    valid = find_valid(raster, nodata, mask)
    values = _fit_channels(raster, valid, channels, model, names)
    return scale_to_depth(values, raster.full_scale, dtype), valid


def to_sample(
    raster: Raster,
    mask: NDArray[np.bool_] | None,
    channels: int,
    dtype: Depth,
    *,
    nodata: NoData | None = None,
    model: str = "the model",
    names: Sequence[str] = (),
) -> Sample:
    """Make a model's sample of an image and a mask.

    Args:
        raster: the image.
        mask: bool (H, W), True = valid; None if none was given.
        channels: how many the model takes.
        dtype: the depth whose raw values the model takes.
        nodata: the value of missing pixels in the raster's own units, in place of those that the
            file names; None for these.
        model: what wants the channels, for the message: "model groundcover".
        names: of the channels that the model takes, for the message; empty if they have none.

    Raises:
        InvalidMaskError: if the mask is not of the image's size.
        ChannelMismatchError: if the image's channels cannot be taken for the model's.
    """
    values, valid = fit_to_model(
        raster, channels, dtype, mask=mask, nodata=nodata, model=model, names=names
    )
    return Sample(values, valid, raster.doubts, raster.georeference)


def find_valid(
    raster: Raster, nodata: NoData | None = None, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Find the valid pixels by the file, a mask, the no-data value, and finiteness.

    Args:
        raster: the image.
        nodata: the value of missing pixels in the raster's own units, in place of those that the
            file names; None for these.
        mask: bool (H, W), True = valid; None if none was given.

    Returns:
        bool (H, W), True = valid; not to be written to.

    Raises:
        InvalidImageError: if the file names a no-data value that cannot be read, and none is given.
        InvalidMaskError: if the mask is not of the image's size.
        ChannelMismatchError: if the image is an array with its channels first, as the mask shows.
    """
    valid = raster.valid if mask is None else _join_masks(raster, mask)
    if nodata is None and raster.hides_nodata:
        raise InvalidImageError(
            "the no-data value that the image names must be readable, or another be given with "
            "nodata, which may be none; it is damaged"
        )
    if valid is None:
        valid = np.ones(raster.size, np.bool_)
    if raster.values.dtype.kind == "f":
        valid = valid & np.isfinite(raster.values).all(axis=2)
    if nodata is None and raster.has_data is not None:
        valid = valid & raster.has_data
    if nodata is not None and not isinstance(nodata, str):
        numbers = raster.values if raster.stored is None else raster.stored
        valid = valid & ~equals_nodata(numbers, nodata)
    return valid


def _join_masks(raster: Raster, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that are valid by a mask and by the file.

    Raises:
        InvalidMaskError: if the mask is not of the image's size.
        ChannelMismatchError: if the image is an array with its channels first, as the mask shows.
    """
    # An image of one channel whose sides are swapped would look the same.
    looks_channels_first = raster.channels > 1 and mask.shape == raster.values.shape[1:]
    if mask.shape != raster.size and looks_channels_first:
        raise ChannelMismatchError(
            f"image must have the mask's height and width, {mask.shape[0]}×{mask.shape[1]}; "
            f"it is {raster.size[0]}×{raster.size[1]} with {raster.channels} channels"
            + suggest_channels_last(raster.values.shape)
        )
    check_mask_fits(mask, raster.size, is_turned=raster.is_turned)
    return mask if raster.valid is None else mask & raster.valid


def _fit_channels(
    raster: Raster, valid: NDArray[np.bool_], wanted: int, model: str, names: Sequence[str]
) -> NDArray[Any]:
    values, found = raster.values, raster.channels
    if found == wanted:
        return values
    if (found, wanted) == (1, 3):
        return np.repeat(values, 3, axis=2)
    if (found, wanted) == (3, 1):
        # Only valid pixels are compared: what stands under the mask must not decide anything.
        differ = (values[:, :, 1:] != values[:, :, :1]).any(axis=2)
        if (differ & valid).any():
            raise ChannelMismatchError(
                f"{model} takes 1 channel; the image has 3, and they are not equal"
            )
        return np.ascontiguousarray(values[:, :, :1])
    raise ChannelMismatchError(
        f"{model} takes {wanted} channel{'' if wanted == 1 else 's'}{_list(names)}; the image has "
        f"{found}{_list(raster.bands.names if raster.bands else ())}"
        + _suggest_channels(raster, wanted)
    )


def _list(names: Sequence[str]) -> str:
    """Return the names of channels in brackets; nothing if none has a name."""
    shown = (name or f"band {index + 1}" for index, name in enumerate(names))
    return f" ({list_names(shown)})" if any(names) else ""


def _suggest_channels(raster: Raster, wanted: int) -> str:
    """Return what to add to the message about an image with a wrong number of channels."""
    found, alphas = raster.channels, raster.bands.alphas if raster.bands else ()
    if found > wanted and raster.values.shape[0] in _TAKEN.get(wanted, (wanted,)):
        return suggest_channels_last(raster.values.shape)
    if found + len(alphas) == wanted:
        return (
            f", and band {alphas[-1] + 1} counts as validity because it is tagged as alpha: "
            "alpha=no takes it as a channel"
        )
    if found > wanted:
        some = ",".join(str(number + 1) for number in range(min(wanted, _SHOWN)))
        rest = ",..." if wanted > _SHOWN else ""
        return f": choose {wanted} of them by number or name, as with bands={some}{rest}"
    return ""


def scale_to_depth(values: NDArray[Any], full_scale: float | None, dtype: Depth) -> NDArray[Any]:
    """Scale intensities to the depth of a model; numbers are returned as they are.

    Args:
        values: numbers.
        full_scale: the value that means white; None for numbers.
        dtype: the depth whose raw values the model takes.
    """
    white = _WHITE[dtype]
    if full_scale is None or white is None or white == full_scale:
        return values
    if (full_scale, white) == (255, 65535):
        return values.astype(np.uint16) * np.uint16(257)
    # Not rounded to integers: the model takes float32 anyway.
    return values.astype(np.float32) * np.float32(white / full_scale)
