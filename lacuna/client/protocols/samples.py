"""Images as the tensors that a model takes, for protocols that send arrays.

An array is sent unchanged. A file is decoded as the server decodes it, by `lacuna.raster`, which
needs the extra `formats`; invalid pixels become 0, which servers that know no mask can read, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from lacuna.appearance.answers import warn_doubtful
from lacuna.appearance.comparison import AnswerWarning
from lacuna.client.arrays import CHANNELS_LAST, fill_missing
from lacuna.client.calls import Question
from lacuna.client.sources import Image, read_source
from lacuna.errors import ChannelMismatchError, MalformedRequestError

Dtype = Literal["uint8", "uint16", "float32"]


class Tensors(NamedTuple):
    """Image and mask as a model takes them.

    Attributes:
        image: (H, W, C) numbers.
        mask: bool (H, W), True = valid; None if all pixels are valid.
        warnings: of reading the image.
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_] | None
    warnings: tuple[AnswerWarning, ...] = ()


def read_tensors(
    question: Question, channels: int, dtype: str, names: Sequence[str] = ()
) -> Tensors:
    """Read image and mask.

    Args:
        question: image, mask and options.
        channels: that the model takes.
        dtype: of the values that the model takes.
        names: of the channels that the model takes; empty if they are not known.

    Raises:
        MalformedRequestError: if the values must be stretched, which only the native protocol can.
        RequestError: if image or mask cannot be read, or do not fit the model.
        ModuleNotFoundError: if a file is given, and the extra is not installed.
    """
    if question.stretch == "percentile":
        raise MalformedRequestError("stretch=percentile needs the native protocol")
    bands = question.selection
    is_plain = _is_plain(question.image) and _is_plain(question.mask)
    if question.nodata is None and bands.is_default and is_plain:
        image = _from_array(cast("NDArray[Any]", question.image), channels)
        return Tensors(image, cast("Any", question.mask))
    from lacuna.raster.adapt import to_sample  # noqa: PLC0415 (needs the extra)
    from lacuna.raster.images import decode_image  # noqa: PLC0415
    from lacuna.raster.limits import UNLIMITED  # noqa: PLC0415
    from lacuna.raster.masks import decode_mask  # noqa: PLC0415

    wanted = replace(bands, expected=tuple(names))
    raster = decode_image(read_source(question.image), UNLIMITED, bands=wanted)
    mask = None if question.mask is None else decode_mask(read_source(question.mask), UNLIMITED)
    kind = cast("Dtype", dtype)
    sample = to_sample(raster, mask, channels, kind, nodata=question.nodata, names=names)
    image = fill_missing(sample.image, sample.mask)
    return Tensors(image, sample.mask, warn_doubtful([sample]))


def _is_plain(source: Image | None) -> bool:
    return source is None or isinstance(source, np.ndarray)


def _from_array(image: NDArray[Any], channels: int) -> NDArray[Any]:
    if image.ndim == 2:
        return image[:, :, None]
    if len(image) == channels and image.shape[2] not in (1, 3, channels):
        raise ChannelMismatchError(
            f"the model takes {channels} channels; the image has {image.shape[2]}. An array must "
            f"have its channels last; it is {image.shape}: {CHANNELS_LAST}"
        )
    return image
