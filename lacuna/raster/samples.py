"""Channels and alpha of decoded samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.raster.bands import BandChoice, BandSelection, choose_bands
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.raster import Raster

_COLOURS = {1: ("gray",), 2: ("gray", "alpha"), 3: ("red", "green", "blue")}
_COLOURS[4] = (*_COLOURS[3], "alpha")


def check_selection(limits: ImageLimits, height: int, width: int, bands: BandSelection) -> None:
    """Refuse a selection that would make an image too large: a band may be named twice.

    Args:
        limits: the largest image that is decoded.
        height: rows.
        width: columns.
        bands: bands that are wanted.

    Raises:
        ImageTooLargeError: if the bands that are named are too many for the limits.
    """
    if bands.bands is not None:
        check_size(limits, height, width, len(bands.bands))


def take_bands(samples: NDArray[Any], indices: Sequence[int]) -> NDArray[Any]:
    """Return the bands of an image that are channels.

    Args:
        samples: (H, W, S).
        indices: of the channels, in order.

    Returns:
        (H, W, C); the samples themselves if these are all of them, in order.
    """
    if tuple(indices) == tuple(range(samples.shape[2])):
        return samples
    return np.take(samples, indices, axis=2)


def split_picture(
    samples: NDArray[Any], bands: BandSelection
) -> tuple[NDArray[Any], NDArray[np.bool_] | None, BandChoice]:
    """Part channels from alpha, as picture formats order them.

    Args:
        samples: (H, W), or (H, W, S) of grey, grey and alpha, RGB, or RGBA.
        bands: bands that are wanted.

    Returns:
        values (H, W, C); bool (H, W), alpha > 0, or None where there is no alpha; and the choice.
    """
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    choice = _choose_of_picture(samples.shape[2], bands)
    valid = None if choice.alpha is None else samples[:, :, choice.alpha] > 0
    return take_bands(samples, choice.indices), valid, choice


@lru_cache(maxsize=64)  # a client's pictures mostly have the same few kinds
def _choose_of_picture(count: int, bands: BandSelection) -> BandChoice:
    return choose_bands((), _COLOURS[count], bands.bands, bands.alpha, expected=bands.expected)


def select_bands(raster: Raster, bands: BandSelection) -> Raster:
    """Select the channels of an array, whose bands have no names and no tags.

    Args:
        raster: with all of its bands.
        bands: bands that are wanted.

    Raises:
        ChannelMismatchError: if the array has not the bands that are wanted.
    """
    if bands.is_default:
        return raster
    stored = raster.values if raster.stored is None else raster.stored
    untagged = ("undefined",) * raster.channels
    choice = choose_bands((), untagged, bands.bands, bands.alpha)
    return replace(
        raster,
        values=take_bands(raster.values, choice.indices),
        stored=None if raster.stored is None else take_bands(stored, choice.indices),
        valid=None if choice.alpha is None else stored[:, :, choice.alpha] > 0,
        bands=choice,
    )
