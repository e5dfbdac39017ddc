"""Writers of the output types."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lacuna.distribution import describe_extra
from lacuna.errors import LacunaWarning
from lacuna.planes import PLANES
from lacuna.raster.npy import labels_npz, write_npy
from lacuna.raster.palette import labels_png
from lacuna.sample import INVALID_LABEL
from lacuna.segmentation import NamedSegmentation

_BLACK = (0, 0, 0)
_NODATA_TAG = 42113  # GDAL_NODATA
_NAN = np.float32(np.nan)


def write_json(segmentation: NamedSegmentation) -> bytes:
    """Write areas and run lengths as JSON."""
    return segmentation.to_json().encode()


def write_png(segmentation: NamedSegmentation) -> bytes:
    """Write labels as a palette PNG; see `labels_png`."""
    colors = {entry.id: entry.rgb for entry in segmentation.classes}
    ids = range(max(colors, default=-1) + 1)
    return labels_png(segmentation.labels, [colors.get(number, _BLACK) for number in ids])


def write_npy_labels(segmentation: NamedSegmentation) -> bytes:
    """Write labels as NPY, uint8 (H, W)."""
    return write_npy(segmentation.labels)


def write_tiff(segmentation: NamedSegmentation) -> bytes:
    """Write labels as a TIFF with GDAL's tag for the no-data value, and each plane as a page more.

    Where the place on Earth is known, GDAL writes a Cloud-Optimised GeoTIFF; see
    `lacuna.geo.answers`. Elsewhere, and without the extra `geo`, Pillow writes a plain file: no map
    would use overviews of an image without a place, and the client can do without GDAL.

    Warns:
        LacunaWarning: if the place is known and the extra is missing.
    """
    if segmentation.georeference is not None:
        try:
            from lacuna.geo.answers import write_geotiff  # noqa: PLC0415 (needs the extra)
        except ModuleNotFoundError:
            needed = (
                f"a GeoTIFF needs the extra geo; the file has no place: {describe_extra('geo')}"
            )
            warnings.warn(LacunaWarning(needed), stacklevel=2)
        else:
            return write_geotiff(segmentation)
    planes = [
        plane for plane in (segmentation.confidence, segmentation.support) if plane is not None
    ]
    pages = [_make_page(segmentation.labels, INVALID_LABEL)]
    pages += [_make_page(np.where(segmentation.valid, plane, _NAN), "nan") for plane in planes]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], **pages[0].encoderinfo)
    return buffer.getvalue()


def _make_page(values: NDArray[Any], nodata: object) -> Image.Image:
    tags = ImageFileDirectory_v2()
    tags[_NODATA_TAG] = str(nodata)
    page = Image.fromarray(values)
    page.encoderinfo = {"compression": "tiff_adobe_deflate", "tiffinfo": tags}
    return page


def write_npz(segmentation: NamedSegmentation) -> bytes:
    """Write labels and planes as NPZ; see `labels_npz`.

    Raises:
        ValueError: if there is no plane.
    """
    planes = {name: getattr(segmentation, name) for name in PLANES}
    if all(plane is None for plane in planes.values()):
        raise ValueError("an NPZ file needs probabilities; ask with probabilities=True")
    return labels_npz(segmentation.labels, **planes)
