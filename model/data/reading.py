"""Images, label maps and masks of a data set, read as the server reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidImageError
from lacuna.raster.adapt import find_valid
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.images import decode_image
from lacuna.raster.label_maps import decode_label_map
from lacuna.raster.limits import UNLIMITED
from lacuna.raster.masks import decode_mask
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster


class TrainingImage(NamedTuple):
    """An image as it is trained on.

    Attributes:
        values: uint8, uint16 or float32 (H, W, C).
        valid: bool (H, W), True = valid.
        band_names: of the channels; empty if the file does not name all of them.
        doubts: what may be wrong about how the file was read.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]
    band_names: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, of the image as it is turned upright."""
        return self.values.shape[0], self.values.shape[1]


def read_image(
    data: bytes, nodata: NoData | None = None, bands: BandSelection = EVERY_BAND
) -> TrainingImage:
    """Decode an image.

    A network is trained on the raw values of one depth, to which the server scales all others.
    Pictures of less than 8 bits a sample are scaled to 8 bits here, those of 9 to 15 bits to 16.

    Args:
        data: the file.
        nodata: value of missing pixels, in all channels, in place of those that the file names;
            None for these.
        bands: bands that are wanted.

    Raises:
        RequestError: if it is damaged or of a kind that is not read.
    """
    return convert_raster(decode_image(data, UNLIMITED, bands=bands), nodata)


def convert_raster(raster: Raster, nodata: NoData | None = None) -> TrainingImage:
    """Bring a decoded image to the values that a network is trained on; see `read_image`."""
    values, white = raster.values, raster.full_scale
    if white not in (None, 255, 65535):
        depth = np.iinfo(np.uint8 if white < 255 else np.uint16)
        values = np.rint(values * (depth.max / white)).astype(depth.dtype)
    names = raster.band_names if all(raster.band_names) else ()
    return TrainingImage(values, find_valid(raster, nodata), names, raster.doubts)


def read_labels(data: bytes) -> NDArray[Any]:
    """Decode a label map; see `decode_label_map`.

    Returns:
        integer (H, W).

    Raises:
        RequestError: if it is damaged, coloured or holds fractions.
    """
    return decode_label_map(data, UNLIMITED)


def read_colors(data: bytes) -> NDArray[np.uint8]:
    """Decode a label map whose colours tell the classes, palettes included.

    Returns:
        uint8 (H, W, 3), red, green and blue.

    Raises:
        RequestError: if it is damaged, or has no colours of 8 bits.
    """
    return find_colors(decode_image(data, UNLIMITED))


def find_colors(raster: Raster) -> NDArray[np.uint8]:
    """Return the colours of a decoded label map, uint8 (H, W, 3); see `read_colors`."""
    values = raster.values
    if values.dtype != np.uint8 or values.shape[2] not in (1, 3, 4):
        raise InvalidImageError(
            "coloured labels must be red, green and blue of 8 bits; they are "
            f"{values.shape[2]} of {values.dtype}"
        )
    return np.broadcast_to(values[:, :, :3], (*values.shape[:2], 3))


def read_mask(data: bytes) -> NDArray[np.bool_]:
    """Decode a mask; see `decode_mask`.

    Returns:
        bool (H, W), True = valid.

    Raises:
        RequestError: if it is damaged, or has channels that differ.
    """
    return decode_mask(data, UNLIMITED)
