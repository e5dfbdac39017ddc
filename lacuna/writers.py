"""Writers of the output types."""

from __future__ import annotations

import io
import json

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lacuna.raster.npy import labels_npz, write_npy
from lacuna.raster.palette import labels_png
from lacuna.sample import INVALID_LABEL
from lacuna.segmentation import NamedSegmentation

_BLACK = (0, 0, 0)
_NODATA_TAG = 42113  # GDAL_NODATA


def write_json(segmentation: NamedSegmentation) -> bytes:
    """Write areas and run lengths as JSON."""
    return json.dumps(segmentation.to_json()).encode()


def write_png(segmentation: NamedSegmentation) -> bytes:
    """Write labels as a palette PNG; see `labels_png`."""
    colors = {entry.id: entry.rgb for entry in segmentation.classes}
    ids = range(max(colors, default=-1) + 1)
    return labels_png(segmentation.labels, [colors.get(number, _BLACK) for number in ids])


def write_npy_labels(segmentation: NamedSegmentation) -> bytes:
    """Write labels as NPY, uint8 (H, W)."""
    return write_npy(segmentation.labels)


def write_tiff(segmentation: NamedSegmentation) -> bytes:
    """Write labels as a TIFF of one band, deflated, with GDAL's tag for the no-data value."""
    tags = ImageFileDirectory_v2()
    tags[_NODATA_TAG] = str(INVALID_LABEL)
    buffer = io.BytesIO()
    picture = Image.fromarray(segmentation.labels)
    picture.save(buffer, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags)
    return buffer.getvalue()


def write_npz(segmentation: NamedSegmentation) -> bytes:
    """Write labels and probabilities as NPZ; see `labels_npz`.

    Raises:
        ValueError: if there are no probabilities.
    """
    if segmentation.probabilities is None:
        raise ValueError("an NPZ file needs probabilities; ask with probabilities=True")
    return labels_npz(segmentation.labels, segmentation.probabilities)
