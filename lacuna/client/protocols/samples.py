"""Images as the tensors that a model takes, for protocols that know no files.

An array is taken as it is. A file is read just as the server reads it, with the server's own
readers, which come with the extra `serve`.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.client.calls import Question
from lacuna.client.sources import Image, read_source

Dtype = Literal["uint8", "uint16", "float32"]


def read_tensors(
    asked: Question, channels: int, dtype: str
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read image and mask.

    Args:
        asked: what is to be segmented.
        channels: that the model takes.
        dtype: the depth whose values the model takes.

    Returns:
        (H, W, C) numbers, and bool (H, W), True = valid, or None if everything is.
    """
    if asked.nodata is None and _is_plain(asked.image) and _is_plain(asked.mask):
        return _from_array(cast("NDArray[Any]", asked.image)), cast("Any", asked.mask)
    from lacuna.raster.adapt import to_sample  # noqa: PLC0415 (these need the extra)
    from lacuna.raster.images import decode_image  # noqa: PLC0415
    from lacuna.raster.limits import ImageLimits  # noqa: PLC0415
    from lacuna.raster.masks import decode_mask  # noqa: PLC0415

    limits = ImageLimits()
    raster = decode_image(read_source(asked.image), limits)
    mask = None if asked.mask is None else decode_mask(read_source(asked.mask), limits)
    kind = cast("Dtype", dtype)
    sample = to_sample(raster, mask, channels, kind, nodata=asked.nodata)
    return sample.image, sample.mask


def _is_plain(source: Image | None) -> bool:
    return source is None or (
        isinstance(source, np.ndarray) and not isinstance(source, PIL.Image.Image)
    )


def _from_array(image: NDArray[Any]) -> NDArray[Any]:
    return image[:, :, None] if image.ndim == 2 else image
