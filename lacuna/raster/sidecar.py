"""Masks that GDAL keeps in a file beside the image (its RFC 15)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from lacuna.errors import RequestError
from lacuna.raster.nodata import NO_NODATA, NoData

SIDECAR_SUFFIX = ".msk"

Source = TypeVar("Source")


def find_sidecar(image: object) -> Path | None:
    """Find the mask beside an image file: `scene.tif.msk` for `scene.tif`.

    Args:
        image: a path; an image in memory has no mask beside it.

    Returns:
        None if there is no such file.
    """
    if not isinstance(image, str | os.PathLike):
        return None
    path = Path(image)
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    return sidecar if sidecar.is_file() else None


def name_sidecar(error: RequestError, sidecar: Path | None) -> RequestError:
    """Add the name of a mask that nobody gave to an error about it.

    Args:
        error: of an image with that mask.
        sidecar: the mask beside the image; None if it was not taken.

    Returns:
        The error itself, if it is not about the mask.
    """
    if sidecar is None or not error.message.startswith("mask "):
        return error
    return type(error)(f"{error.message} (the mask is {sidecar}, which lies beside the image)")


def choose_mask(
    image: object, mask: Source | Path | None, nodata: NoData | None
) -> tuple[Source | Path | None, NoData | None]:
    """Take the mask beside an image file if none was given.

    Args:
        image: a path, or an image in memory.
        mask: the mask given; None if none was.
        nodata: the no-data value given; None for those that the file names.

    Returns:
        mask and no-data value; as in GDAL, the mask beside the image stands in place of the values
        that the file names.
    """
    sidecar = find_sidecar(image) if mask is None else None
    if sidecar is None:
        return mask, nodata
    return sidecar, NO_NODATA if nodata is None else nodata
