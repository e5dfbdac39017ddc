"""Images as the tensors that a model takes, for protocols that send arrays.

An array is sent unchanged. A file is decoded as the server decodes it, by `lacuna.raster`, which
needs the extra `formats`.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.client.calls import Question
from lacuna.client.sources import Image, read_source
from lacuna.errors import MalformedRequestError

Dtype = Literal["uint8", "uint16", "float32"]


def read_tensors(
    question: Question, channels: int, dtype: str
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read image and mask.

    Args:
        question: image, mask and options.
        channels: that the model takes.
        dtype: of the values that the model takes.

    Returns:
        (H, W, C) numbers, and bool (H, W), True = valid, or None if all pixels are valid.

    Raises:
        MalformedRequestError: if the values must be stretched, which only the native protocol can.
    """
    if question.stretch == "percentile":
        raise MalformedRequestError("stretch=percentile needs the native protocol")
    if question.nodata is None and _is_plain(question.image) and _is_plain(question.mask):
        return _from_array(cast("NDArray[Any]", question.image)), cast("Any", question.mask)
    from lacuna.raster.adapt import to_sample  # noqa: PLC0415 (needs the extra)
    from lacuna.raster.images import decode_image  # noqa: PLC0415
    from lacuna.raster.limits import ImageLimits  # noqa: PLC0415
    from lacuna.raster.masks import decode_mask  # noqa: PLC0415

    limits = ImageLimits()
    raster = decode_image(read_source(question.image), limits)
    mask = None if question.mask is None else decode_mask(read_source(question.mask), limits)
    kind = cast("Dtype", dtype)
    sample = to_sample(raster, mask, channels, kind, nodata=question.nodata)
    return sample.image, sample.mask


def _is_plain(source: Image | None) -> bool:
    return source is None or (
        isinstance(source, np.ndarray) and not isinstance(source, PIL.Image.Image)
    )


def _from_array(image: NDArray[Any]) -> NDArray[Any]:
    return image[:, :, None] if image.ndim == 2 else image
