"""The images of one request, each on its own way through the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    MalformedRequestError,
    RequestError,
)
from lacuna.raster.adapt import to_sample
from lacuna.raster.limits import ImageLimits
from lacuna.raster.raster import Raster
from lacuna.sample import Sample
from service.runtime.manifest import Manifest

MAX_IMAGES = 256
"""In one request; each is a task of its own."""

ReadImage = Callable[[ImageLimits], Raster]
ReadMask = Callable[[ImageLimits], NDArray[np.bool_]]


@dataclass(frozen=True)
class Entry:
    """One image of a request, not yet decoded.

    Attributes:
        read_image: decodes the image within limits.
        read_mask: decodes the mask within limits; None if there is none.
        nodata: value of missing pixels in the image's own units; may be NaN.
    """

    read_image: ReadImage
    read_mask: ReadMask | None = None
    nodata: float | None = None


def check_count(count: int) -> None:
    """Refuse a request by the number of its images.

    Raises:
        EmptyBodyError: if there is none.
        MalformedRequestError: if there are too many.
    """
    if count < 1:
        raise EmptyBodyError("a request must hold an image; it holds none")
    if count > MAX_IMAGES:
        raise MalformedRequestError(
            f"a request must hold at most {MAX_IMAGES} images; it holds {count}"
        )


def check_pixels(limits: ImageLimits, pixels: int) -> None:
    """Refuse a request by the pixels of all its images together.

    They are decoded and answered at the same time, so that they take as much memory as one image
    of their size.

    Raises:
        ImageTooLargeError: if there are too many.
    """
    if pixels > limits.most_pixels:
        raise ImageTooLargeError(
            f"the images of a request{limits.whose} must have at most {limits.most_pixels} pixels "
            f"together; they have {pixels}"
        )


def read_samples(entries: Sequence[Entry], manifest: Manifest, limits: ImageLimits) -> list[Sample]:
    """Decode images and masks and fit them to a model.

    Args:
        entries: at least one.
        manifest: of the model.
        limits: of all images together.

    Raises:
        RequestError: if one is damaged, too large, or does not suit its mask or the model; the
            message tells which, if there are several.
    """
    samples: list[Sample] = []
    pixels = 0
    for index, entry in enumerate(entries):
        try:
            raster = entry.read_image(limits)
            pixels += raster.size[0] * raster.size[1]
            check_pixels(limits, pixels)
            samples.append(_fit(entry, raster, manifest, limits))
        except RequestError as error:
            if len(entries) == 1:
                raise
            raise type(error)(f"image {index}: {error.message}") from error
    return samples


def _fit(entry: Entry, raster: Raster, manifest: Manifest, limits: ImageLimits) -> Sample:
    return to_sample(
        raster,
        None if entry.read_mask is None else entry.read_mask(limits),
        manifest.image.channels,
        manifest.image.dtype,
        nodata=entry.nodata,
        model=f"model {manifest.name}",
    )
