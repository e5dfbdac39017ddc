"""The reader of image files, whatever their format."""

from __future__ import annotations

from lacuna.raster.damage import decoder_errors
from lacuna.raster.formats import Format
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.npy import Buffer
from lacuna.raster.raster import Raster
from lacuna.raster.sniff import sniff


def decode_image(data: Buffer, limits: ImageLimits, media_type: str | None = None) -> Raster:
    """Decode an image file of any format in the table of formats.

    Args:
        data: the file.
        limits: the largest image that is decoded, checked against the header.
        media_type: what the file was declared as; its bytes count.

    Raises:
        EmptyBodyError: if there are no bytes.
        UnsupportedMediaTypeError: if it is of a format that is not read.
        InvalidImageError: if it is not an image, a damaged one, or more than one.
        ImageTooLargeError: if its header exceeds the limits.
        ModuleNotFoundError: if the library of its decoder is not installed.
    """
    form = sniff(data, media_type)
    return form.decode(check_header(form, data, limits), limits)


def check_header(form: Format, data: Buffer, limits: ImageLimits) -> bytes:
    """Hold the header of a file to the limits, before anything is allocated for its image.

    Args:
        form: of the file.
        data: the file.
        limits: the largest image that is decoded.

    Returns:
        The file as its decoder needs it.

    Raises:
        InvalidImageError: if the header is damaged.
        ImageTooLargeError: if it exceeds the limits.
    """
    # A decoder that takes any buffer is given the body itself: 200 MB are not copied.
    content: bytes = bytes(data) if form.needs_bytes else data  # type: ignore[assignment]
    with decoder_errors(form.name):
        header = form.read_header(content)
    check_size(limits, header.height, header.width, header.channels)
    return content
