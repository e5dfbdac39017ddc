"""Preparation of a question, before anything is sent.

1. The mask that GDAL keeps beside an image file is taken, if no other is given. Labelled arrays
   become arrays of NumPy.
2. Open files are read, once for all tries.
3. A masked array becomes a plain one whose invalid pixels are 0, and a mask. What stands under its
   mask is never sent.
4. A mask that is given besides is combined with it. If it is a file or a picture, only the server
   reads it; the array's own invalid pixels are then sent as NaN, which is never valid.
5. Shapes and types are checked, and the sizes of image and mask compared where both are known.

A choice of bands that cannot be read is refused before.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lacuna.client.arrays import (
    CHANNELS_LAST,
    check_mask_size,
    fill_missing,
    make_axis_error,
    mark_missing,
    read_image_array,
    read_mask_array,
    seems_channels_first,
)
from lacuna.client.calls import Question
from lacuna.client.labelled import take_values
from lacuna.client.sources import Image, check_bytes, read_file
from lacuna.errors import ChannelMismatchError

_CLOSED = (np.ndarray, bytes, str, os.PathLike, PIL.Image.Image, bytearray, memoryview)


def prepare(question: Question) -> Question:
    """Return a question whose image and mask are files, plain arrays or PIL images.

    Args:
        question: any question.

    Raises:
        RequestError: if image or mask cannot be right, or do not match.
        TypeError: if one is of a type that is not taken.
        OSError: if an open file cannot be read.
    """
    question.selection  # noqa: B018 (a choice that cannot be read is refused before all else)
    question = take_values(question.with_sidecar())
    image = _read_open_file(question.image)
    mask = None if question.mask is None else _read_open_file(question.mask)
    valid = None
    if isinstance(image, np.ndarray):
        image, valid = read_image_array(image)
        _check_axes(image, mask)
    size = find_size(image)
    if isinstance(mask, np.ndarray):
        mask = read_mask_array(mask, size)
    elif isinstance(mask, PIL.Image.Image) and size is not None:
        check_mask_size(size, (mask.height, mask.width))
    if isinstance(image, np.ndarray) and valid is not None:
        image, mask = _combine(image, valid, mask)
    if image is question.image and mask is question.mask:
        return question
    return replace(question, image=image, mask=mask)


def find_taken_sidecar(asked: Question, prepared: Question) -> Path | None:
    """Return the mask beside the image file that was taken; None if there was none, or another."""
    return prepared.mask if asked.mask is None and isinstance(prepared.mask, Path) else None


def find_size(image: Image) -> tuple[int, int] | None:
    """Return height and width of an array or a PIL image; None for a file."""
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    if isinstance(image, PIL.Image.Image):
        return image.height, image.width
    return None


def add_axis_hint(error: ChannelMismatchError, question: Question) -> None:
    """Add a hint to the server's error if an array's channels seem to be its first axis."""
    if isinstance(question.image, np.ndarray) and seems_channels_first(question.image):
        error.add_note(f"an array must have its channels last: {CHANNELS_LAST}")


def _read_open_file(source: Image) -> Image:
    if isinstance(source, memoryview):
        check_bytes(source)
    return source if isinstance(source, _CLOSED) else read_file(source)


def _check_axes(image: NDArray[Any], mask: Image | None) -> None:
    """Refuse an image whose mask fits it if its first axis is that of the channels."""
    if mask is not None and seems_channels_first(image):
        size = mask.shape if isinstance(mask, np.ndarray) else find_size(mask)
        if size == image.shape[1:]:
            raise make_axis_error(image)


def _combine(
    image: NDArray[Any], valid: NDArray[np.bool_], mask: Image | None
) -> tuple[NDArray[Any], Image]:
    if mask is None or isinstance(mask, np.ndarray):
        both = valid if mask is None else valid & mask
        return fill_missing(image, both), both
    return mark_missing(image, valid), mask
