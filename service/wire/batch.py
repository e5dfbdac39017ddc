"""Images of one request: their number and size, and their decoding to samples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.statistics import ChannelStatistics
from lacuna.appearance.stretching import stretch_sample
from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    MalformedRequestError,
    RequestError,
)
from lacuna.raster.adapt import to_sample
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster
from lacuna.sample import Sample
from service.runtime.manifest import ImageSpec, Manifest
from service.wire.dialect import Footprint

MAX_IMAGES = 256
"""Maximum number of images in a request. Each becomes a task of the event loop."""

_MASK_BYTES = 3
"""Bytes for each pixel of a mask, of what the file says about validity, and of both together."""

_STRETCH_BYTES = 24
"""Most bytes for each pixel while one channel is stretched, besides the result; measured."""

Measure = Callable[[ImageLimits], Footprint]
ReadImage = Callable[[ImageLimits, BandSelection], Raster]
ReadMask = Callable[[ImageLimits], NDArray[np.bool_]]


@dataclass(frozen=True)
class ImageInput:
    """Image of a request, not yet decoded.

    Attributes:
        measure: function that measures image and mask by their headers, within limits.
        read_image: function that decodes the bands that are wanted, within limits.
        read_mask: function that decodes the mask within limits; None if there is no mask.
        nodata: value of missing pixels in the units of the image, in place of those that the file
            names; None for these.
        bands: bands of the image that are wanted.
    """

    measure: Measure
    read_image: ReadImage
    read_mask: ReadMask | None = None
    nodata: NoData | None = None
    bands: BandSelection = EVERY_BAND


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


def measure_files(
    image: ImageFile,
    mask: ImageFile | None,
    limits: ImageLimits,
    bands: BandSelection = EVERY_BAND,
) -> Footprint:
    """Measure an image file and a mask file by their headers.

    Args:
        image: image file.
        mask: mask file; None for none.
        limits: limits of the image and of the mask.
        bands: bands of the image that are wanted.

    Raises:
        RequestError: if the header of the image is damaged, or exceeds the limits.
    """
    decode_bytes = image.estimate_bytes(limits, bands)
    # A mask that cannot be measured is refused when it is read, before anything is allocated.
    with contextlib.suppress(RequestError):
        decode_bytes += 0 if mask is None else mask.estimate_bytes(limits)
    return Footprint(image.read_header(limits).pixels, decode_bytes)


def measure_images(images: Sequence[ImageInput], limits: ImageLimits) -> Footprint:
    """Measure images and masks by their headers.

    Args:
        images: images to measure, at least one.
        limits: limits of all images together.

    Raises:
        RequestError: if an image is damaged or too large. The message holds the index of the image
            if there are several.
    """
    pixels = decode_bytes = 0
    for index, image in enumerate(images):
        try:
            found = image.measure(limits)
            pixels += found.pixels
            decode_bytes += found.decode_bytes
            check_pixels(limits, pixels)
        except RequestError as error:
            raise _name_image(error, index, len(images)) from None
    return Footprint(pixels, decode_bytes)


def estimate_sample_bytes(image: ImageSpec, pixels: int, stretch: str) -> int:
    """Estimate the memory of samples that are made of decoded images, and of their masks, in bytes.

    Args:
        image: images that the model takes.
        pixels: height × width, of all images together.
        stretch: `percentile` if the values are stretched, or `none`.
    """
    pixel_bytes = image.channels * np.dtype(image.dtype).itemsize + _MASK_BYTES
    if stretch != "none":
        pixel_bytes += image.channels * np.dtype(np.float32).itemsize + _STRETCH_BYTES
    return pixels * pixel_bytes


def read_samples(
    images: Sequence[ImageInput], manifest: Manifest, limits: ImageLimits, stretch: str = "none"
) -> list[Sample]:
    """Decode images and masks and adapt them to a model.

    Args:
        images: images to decode, at least one.
        manifest: manifest of the model.
        limits: limits of all images together.
        stretch: `percentile` to stretch the values to the range of the training data, or `none`.

    Raises:
        RequestError: if an image is damaged, too large, or does not match its mask or the model.
            The message holds the index of the image if there are several. Or if the values cannot
            be stretched, because the model does not state its training data.
    """
    learnt = None if stretch == "none" else _find_statistics(manifest)
    samples: list[Sample] = []
    pixels = 0
    for index, image in enumerate(images):
        try:
            raster = image.read_image(limits, _expect(image.bands, manifest))
            pixels += raster.size[0] * raster.size[1]
            check_pixels(limits, pixels)
            samples.append(_fit(image, raster, manifest, limits))
        except RequestError as error:
            raise _name_image(error, index, len(images)) from None
    return samples if learnt is None else [stretch_sample(sample, learnt) for sample in samples]


def _find_statistics(manifest: Manifest) -> Sequence[ChannelStatistics]:
    learnt = manifest.image.channel_statistics
    if learnt is None:
        raise MalformedRequestError(
            "stretch=percentile needs a model whose manifest has statistics of its training "
            f"images; that of model {manifest.name} has none"
        )
    return learnt


def _name_image(error: RequestError, index: int, count: int) -> RequestError:
    """Add the index of an image to an error about it, if there are several.

    It may be the same error. It must not be raised from itself: that keeps its traceback, and with
    it the body, until the collector comes.
    """
    return error if count == 1 else type(error)(f"image {index}: {error.message}")


def _fit(image: ImageInput, raster: Raster, manifest: Manifest, limits: ImageLimits) -> Sample:
    return to_sample(
        raster,
        None if image.read_mask is None else image.read_mask(limits),
        manifest.image.channels,
        manifest.image.dtype,
        nodata=image.nodata,
        model=f"model {manifest.name}",
        names=manifest.image.bands or (),
    )


def _expect(bands: BandSelection, manifest: Manifest) -> BandSelection:
    """Add the names of the model's channels to what a request wants."""
    expected = manifest.image.bands
    return bands if expected is None else replace(bands, expected=expected)
