"""The table of image formats. Everything else that names a format reads it here.

A format is added by a row of this table and a module that decodes it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lacuna.distribution import Extra
from lacuna.raster.damage import decode_in_memory

if TYPE_CHECKING:
    from lacuna.raster.bands import BandSelection
    from lacuna.raster.limits import ImageLimits
    from lacuna.raster.raster import Raster


class Header(NamedTuple):
    """Size of an image as the header of its file declares it.

    Attributes:
        height: rows.
        width: columns.
        channels: samples per pixel, alpha included.
        sample_bytes: bytes of a decoded sample.
        extra_bytes: memory that decoding this file takes beside what its format always takes.
        segments: strips or tiles, those of all components counted where each is decoded apart.
        segment_pixels: pixels of a strip or tile, where it is decoded as a whole.
    """

    height: int
    width: int
    channels: int
    sample_bytes: int = 1
    extra_bytes: int = 0
    segments: int = 1
    segment_pixels: int = 0

    @property
    def pixels(self) -> int:
        """Height × width."""
        return self.height * self.width

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded image."""
        return self.pixels * self.channels * self.sample_bytes


class Magic(NamedTuple):
    """Bytes by which a format is recognized.

    Attributes:
        content: the bytes.
        offset: where they stand in the file.
    """

    content: bytes
    offset: int = 0


@dataclass(frozen=True)
class Format:
    """An image format that is read.

    The functions are named by `module:function` and imported at their first use, so that reading
    the table needs no library.

    Attributes:
        key: name in code and in the `format` of a JSON body.
        name: name in texts.
        magics: alternatives; of each, all parts must match.
        media_types: the official one first.
        suffixes: of file names, in lower case, the usual one first.
        header: `(data) -> Header`, without decoding anything; `data` is any buffer.
        decoder: `(data, limits, bands) -> Raster`.
        stored: `(data, limits) -> array (H, W, C)` of the numbers as they are stored, palette
            indices among them; None for a format that cannot hold a label map.
        extra: extra of the distribution that brings the decoder's library; None if none is needed.
        needs_bytes: whether the decoder needs `bytes` rather than any buffer.
        decode_factor: most memory that the decoder takes, the image included, in multiples of the
            decoded image; measured with images of 4096 × 4096. What depends on the file is in
            the `extra_bytes` of its header.
    """

    key: str
    name: str
    magics: tuple[tuple[Magic, ...], ...]
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    header: str
    decoder: str
    stored: str | None = None
    extra: Extra | None = "formats"
    needs_bytes: bool = True
    decode_factor: float = 2.0

    def matches(self, head: bytes) -> bool:
        """Return whether the first bytes of a file are of this format."""
        return any(
            all(head.startswith(magic.content, magic.offset) for magic in parts)
            for parts in self.magics
        )

    def read_header(self, data: bytes | memoryview) -> Header:
        """Read the size of an image from its header."""
        header: Header = _load(self.header)(data)
        return header

    def decode(self, data: bytes, limits: ImageLimits, bands: BandSelection) -> Raster:
        """Decode an image.

        Raises:
            InvalidImageError: if it is damaged.
            MemoryError: if there is not enough memory.
        """
        decoder: Callable[..., Raster] = _load(self.decoder)
        return decode_in_memory(
            lambda: decoder(data, limits, bands), lambda: self.read_header(data)
        )

    def decode_stored(self, data: bytes, limits: ImageLimits) -> Any:
        """Decode the numbers of an image as they are stored."""
        if self.stored is None:
            raise ValueError(f"{self.name} cannot hold stored numbers")
        return _load(self.stored)(data, limits)


def load_decoders() -> None:
    """Import the libraries of all decoders, so that no image has to.

    A codec whose library cannot be loaded for lack of memory is missing until the process ends.

    Raises:
        ModuleNotFoundError: if a library is not installed.
    """
    for form in FORMATS:
        for name in (form.header, form.decoder, form.stored):
            if name is not None:
                _load(name)


@cache
def _load(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = pkgutil.resolve_name(name)
    return function


def _starts(*contents: bytes) -> tuple[tuple[Magic, ...], ...]:
    return tuple((Magic(content),) for content in contents)


FORMATS = (
    Format(
        key="png",
        name="PNG",
        magics=_starts(b"\x89PNG\r\n\x1a\n"),
        media_types=("image/png", "image/apng", "image/x-png"),
        suffixes=(".png",),
        header="lacuna.raster.png:read_png_header",
        decoder="lacuna.raster.png:decode_png",
        stored="lacuna.raster.png:decode_stored_png",
    ),
    Format(
        key="jpeg",
        name="JPEG",
        magics=_starts(b"\xff\xd8\xff"),
        media_types=("image/jpeg", "image/jpg"),
        suffixes=(".jpg", ".jpeg"),
        header="lacuna.raster.jpeg:read_jpeg_header",
        decoder="lacuna.raster.jpeg:decode_jpeg",
        extra=None,
        decode_factor=4.7,
    ),
    Format(
        key="webp",
        name="WebP",
        magics=((Magic(b"RIFF"), Magic(b"WEBP", 8)),),
        media_types=("image/webp",),
        suffixes=(".webp",),
        header="lacuna.raster.webp:read_webp_header",
        decoder="lacuna.raster.webp:decode_webp",
    ),
    Format(
        key="tiff",
        name="TIFF",
        magics=_starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        media_types=("image/tiff", "image/tif", "image/geotiff"),
        suffixes=(".tif", ".tiff"),
        header="lacuna.raster.tiff_pages:read_tiff_header",
        decoder="lacuna.raster.tiff:decode_tiff",
        stored="lacuna.raster.tiff:decode_stored_tiff",
        decode_factor=1.0,
    ),
    Format(
        key="jpeg2000",
        name="JPEG 2000",
        magics=_starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        media_types=("image/jp2", "image/jpx", "image/j2k"),
        suffixes=(".jp2", ".j2k"),
        header="lacuna.raster.jpeg2000:read_jpeg2000_header",
        decoder="lacuna.raster.jpeg2000:decode_jpeg2000",
        decode_factor=5.2,
    ),
    Format(
        key="npy",
        name="NPY",
        magics=_starts(b"\x93NUMPY"),
        media_types=("application/x-npy", "application/npy", "application/x-numpy"),
        suffixes=(".npy",),
        header="lacuna.raster.arrays:read_npy_size",
        decoder="lacuna.raster.arrays:decode_npy",
        stored="lacuna.raster.arrays:decode_stored_npy",
        extra=None,
        needs_bytes=False,
        decode_factor=1.0,
    ),
)

OTHERS = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP (NPZ)"),
    (b"\x89HDF", "HDF5"),
)
"""Formats that are recognized, to name them in an error, and not read."""

_NAMES = [form.name for form in FORMATS]

ACCEPTED = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""The formats as texts name them."""

MEDIA_TYPES = frozenset(kind for form in FORMATS for kind in form.media_types)
"""Media types that declare a body as one of these formats."""

IMAGE_SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
"""Suffixes of image files."""

LABEL_SUFFIXES = tuple(suffix for form in FORMATS if form.stored for suffix in form.suffixes)
"""Suffixes of files that can hold a label map."""

BARE_NAMES = frozenset(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
"""The formats as the `format` of a JSON body names them."""


def list_body_types() -> tuple[str, ...]:
    """Return the media types of raw bodies, pictures as one range."""
    official = [form.media_types[0] for form in FORMATS]
    others = [kind for kind in official if not kind.startswith("image/")]
    return ("image/*", *others)
