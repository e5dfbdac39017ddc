"""Limits of the size of an image, checked against its header."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lacuna.errors import ImageTooLargeError, InvalidImageError

SAMPLES_PER_PIXEL = 4
"""An image of the largest size may have this many channels, and a smaller one more of them.

Pixels and channels alone would together allow 4096 · 4096 · 512 samples, 32 GiB as float32, which
a deflated file of a few megabytes can hold.
"""

MOST_CHANNELS = 512
"""Samples per pixel that an image may have. Imaging spectrometers have up to about 450 bands: EnMAP
has 224, AVIRIS-NG 425."""

FREE_SEGMENTS, SAMPLES_PER_SEGMENT = 4096, 64
"""Strips and tiles that any image may have, and samples for each one more: each takes decoders time
and memory, however small it is. Rows of 64 samples are within."""

FREE_SEGMENT_PIXELS = 512 * 512
"""Pixels of a tile that any image may have: writers pad small images to whole tiles."""


@dataclass(frozen=True)
class ImageLimits:
    """The largest image that is decoded.

    Attributes:
        image_pixels: height × width; the default is 4096 × 4096. An image goes through the model in
            one piece, and the demo's takes 620 bytes a pixel for that (measured): 10 GB.
        image_channels: samples per pixel, alpha included. Memory is bounded by the samples of the
            whole image, whatever its channels are.
        model: whose own limit there is besides; empty for none.
        model_pixels: height × width of an image for it, at most `image_pixels`; None for as many.
            Channels and samples are limited as for everybody.
    """

    image_pixels: int = 4096 * 4096
    image_channels: int = MOST_CHANNELS
    model: str = ""
    model_pixels: int | None = None

    @property
    def most_pixels(self) -> int:
        """Height × width that an image may have."""
        return self.image_pixels if self.model_pixels is None else self.model_pixels

    @property
    def whose(self) -> str:
        """Whom `most_pixels` belongs to, for messages; empty for the server."""
        return "" if self.model_pixels is None else f" for model {self.model}"

    def narrow(self, model: str, pixels: int | None) -> ImageLimits:
        """Return the limits of a model.

        Args:
            model: its name.
            pixels: height × width of an image for it; None if it has no limit of its own.
        """
        return self if pixels is None else replace(self, model=model, model_pixels=pixels)


UNLIMITED = ImageLimits(image_pixels=1 << 62, image_channels=1 << 31)
"""For files of one's own: memory is the only limit."""


def check_size(limits: ImageLimits, height: int, width: int, channels: int = 1) -> None:
    """Refuse an image by what its header says, before anything is allocated for it.

    Args:
        limits: the largest image that is decoded.
        height: rows.
        width: columns.
        channels: samples per pixel, alpha included.

    Raises:
        InvalidImageError: if there is no pixel, or no sample in it.
        ImageTooLargeError: if there are too many pixels, channels, or samples altogether.
    """
    if height < 1 or width < 1 or channels < 1:
        raise InvalidImageError(
            f"image must have at least one pixel; it is {height}×{width} "
            f"with {channels} channel{'' if channels == 1 else 's'}"
        )
    if height * width > limits.most_pixels:
        raise ImageTooLargeError(
            f"image{limits.whose} must have at most {limits.most_pixels} pixels; "
            f"it is {height}×{width}, {height * width} pixels"
        )
    if channels > limits.image_channels:
        may_be_first = height <= limits.image_channels
        raise ImageTooLargeError(
            f"image must have at most {limits.image_channels} channels; it has {channels}"
            + (suggest_channels_last((height, width, channels)) if may_be_first else "")
        )
    if height * width * channels > SAMPLES_PER_PIXEL * limits.image_pixels:
        raise ImageTooLargeError(
            f"image must have at most {SAMPLES_PER_PIXEL * limits.image_pixels} samples "
            f"(pixels × channels); it is {height}×{width} with {channels} channels"
        )


def check_segments(limits: ImageLimits, segments: int, segment_pixels: int, samples: int) -> None:
    """Refuse an image whose strips or tiles are out of proportion to it.

    Args:
        limits: the largest image that is decoded.
        segments: how many there are.
        segment_pixels: pixels of one of them.
        samples: height × width × channels of the image.

    Raises:
        InvalidImageError: if there are too many of them for its samples.
        ImageTooLargeError: if one is larger than an image may be.
    """
    most = FREE_SEGMENTS + samples // SAMPLES_PER_SEGMENT
    if segments > most:
        raise InvalidImageError(
            f"image of {samples} samples must have at most {most} strips or tiles; "
            f"it has {segments}"
        )
    largest = max(limits.image_pixels, FREE_SEGMENT_PIXELS)
    if segment_pixels > largest:
        raise ImageTooLargeError(
            f"strips and tiles must be no larger than {largest} pixels; they have {segment_pixels}"
        )


def suggest_channels_last(shape: tuple[int, ...]) -> str:
    """Return what to add to the message about an image that looks like an array (C, H, W).

    Args:
        shape: height, width and channels, as they were taken.
    """
    channels, height, width = shape
    return (
        f"; channels must be the last axis of an array: did you mean ({height}, {width}, "
        f"{channels}) instead of {shape}?"
    )
