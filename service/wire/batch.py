"""Images of one request: their number and size, and their decoding to samples."""

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
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster
from lacuna.sample import Sample
from service.runtime.manifest import Manifest

MAX_IMAGES = 256
"""Maximum number of images in a request. Each becomes a task of the event loop."""

ReadImage = Callable[[ImageLimits], Raster]
ReadMask = Callable[[ImageLimits], NDArray[np.bool_]]


@dataclass(frozen=True)
class ImageInput:
    """Image of a request, not yet decoded.

    Attributes:
        read_image: function that decodes the image within limits.
        read_mask: function that decodes the mask within limits; None if there is no mask.
        nodata: value of missing pixels in the units of the image, in place of those that the file
            names; None for these.
    """

    read_image: ReadImage
    read_mask: ReadMask | None = None
    nodata: NoData | None = None


def check_count(count: int) -> None:
    """Check the number of images in a request.

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
    """Check the number of pixels of all images of a request together.

    The images are in memory at the same time, so they need as much of it as one image with all
    their pixels.

    Raises:
        ImageTooLargeError: if there are too many.
    """
    if pixels > limits.most_pixels:
        raise ImageTooLargeError(
            f"the images of a request{limits.whose} must have at most {limits.most_pixels} pixels "
            f"together; they have {pixels}"
        )


def read_samples(
    images: Sequence[ImageInput], manifest: Manifest, limits: ImageLimits
) -> list[Sample]:
    """Decode images and masks and adapt them to a model.

    Args:
        images: images to decode, at least one.
        manifest: manifest of the model.
        limits: limits of all images together.

    Raises:
        RequestError: if an image is damaged, too large, or does not match its mask or the model.
            The message holds the index of the image if there are several.
    """
    samples: list[Sample] = []
    pixels = 0
    for index, image in enumerate(images):
        try:
            raster = image.read_image(limits)
            pixels += raster.size[0] * raster.size[1]
            check_pixels(limits, pixels)
            samples.append(_fit(image, raster, manifest, limits))
        except RequestError as error:
            if len(images) == 1:
                raise
            raise type(error)(f"image {index}: {error.message}") from error
    return samples


def _fit(image: ImageInput, raster: Raster, manifest: Manifest, limits: ImageLimits) -> Sample:
    return to_sample(
        raster,
        None if image.read_mask is None else image.read_mask(limits),
        manifest.image.channels,
        manifest.image.dtype,
        nodata=image.nodata,
        model=f"model {manifest.name}",
    )
