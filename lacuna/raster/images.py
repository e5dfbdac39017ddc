"""The reader of image files, whatever their format."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Format, Header
from lacuna.raster.limits import ImageLimits, check_segments, check_size
from lacuna.raster.npy import Buffer
from lacuna.raster.raster import Raster
from lacuna.raster.samples import check_selection
from lacuna.raster.sniff import sniff

_NARROWED_BYTES = 4
"""Bytes of a number that was brought to a dtype that models take."""


class ImageFile:
    """Image file of any format in the table of formats, whose size is read before it is decoded.

    Args:
        data: the file.
        media_type: what the file was declared as; its bytes count.

    Attributes:
        data: the file.
    """

    def __init__(self, data: Buffer, media_type: str | None = None) -> None:
        self.data = data
        self._media_type = media_type
        self._form: Format | None = None
        self._header: Header | None = None
        self._held_to: ImageLimits | None = None

    @property
    def form(self) -> Format:
        """Format of the file.

        Raises:
            EmptyBodyError: if there are no bytes.
            UnsupportedMediaTypeError: if it is of a format that is not read.
            InvalidImageError: if it is not an image.
        """
        form = self._form
        if form is None:
            form = self._form = sniff(self.data, self._media_type)
        return form

    def read_header(self, limits: ImageLimits) -> Header:
        """Read the size of the image, and hold it to the limits.

        Args:
            limits: the largest image that is decoded.

        Raises:
            RequestError: as in `form`.
            InvalidImageError: if the header is damaged, or divides the image too finely.
            ImageTooLargeError: if it exceeds the limits.
            ModuleNotFoundError: if the library that reads it is not installed.
        """
        header = self._header
        if header is None:
            with decoder_errors(self.form.name):
                header = self._header = self.form.read_header(self.data)
        # A request measures its image and then decodes it, with the same limits.
        if self._held_to is not limits:
            check_size(limits, header.height, header.width, header.channels)
            samples = header.pixels * header.channels
            check_segments(limits, header.segments, header.segment_pixels, samples)
            self._held_to = limits
        return header

    def estimate_bytes(self, limits: ImageLimits, bands: BandSelection = EVERY_BAND) -> int:
        """Estimate the memory that decoding takes, in bytes.

        Args:
            limits: the largest image that is decoded.
            bands: bands that are wanted.

        Raises:
            RequestError: as in `decode`.
        """
        header, form = self.read_header(limits), self.form
        needed_bytes = int(form.decode_factor * header.decoded_bytes) + header.extra_bytes
        if form.needs_bytes:
            needed_bytes += len(self.data)
        if bands.is_default:
            return needed_bytes
        check_selection(limits, header.height, header.width, bands)
        channels = header.channels if bands.bands is None else len(bands.bands)
        return needed_bytes + header.pixels * channels * (header.sample_bytes + _NARROWED_BYTES)

    def decode(self, limits: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
        """Decode the image.

        Args:
            limits: the largest image that is decoded.
            bands: bands that are wanted.

        Raises:
            RequestError: as in `read_header`.
            InvalidImageError: if the image is damaged, or more than one.
            ImageTooLargeError: if the bands that are wanted exceed the limits.
            ChannelMismatchError: if the image has not the bands that are wanted.
        """
        header = self.read_header(limits)
        check_selection(limits, header.height, header.width, bands)
        return self.form.decode(self._content, limits, bands)

    def decode_stored(self, limits: ImageLimits) -> NDArray[Any]:
        """Decode the numbers as they are stored, (H, W, C); see `Format.stored`.

        Raises:
            RequestError: as in `decode`.
        """
        self.read_header(limits)
        stored: NDArray[Any] = self.form.decode_stored(self._content, limits)
        return stored

    @property
    def _content(self) -> bytes:
        """The file as its decoder needs it."""
        # A decoder that takes any buffer is given the body itself: 200 MB are not copied.
        return bytes(self.data) if self.form.needs_bytes else self.data  # type: ignore[return-value]


def decode_image(
    data: Buffer,
    limits: ImageLimits,
    media_type: str | None = None,
    bands: BandSelection = EVERY_BAND,
) -> Raster:
    """Decode an image file of any format in the table of formats.

    Args:
        data: the file.
        limits: the largest image that is decoded, checked against the header.
        media_type: what the file was declared as; its bytes count.
        bands: bands that are wanted.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that is not read.
        InvalidImageError: if it is not an image, a damaged one, or more than one.
        ImageTooLargeError: if its header or the bands that are wanted exceed the limits.
        ChannelMismatchError: if it has not the bands that are wanted.
        ModuleNotFoundError: if the library of its decoder is not installed.
    """
    return ImageFile(data, media_type).decode(limits, bands)
