"""Images and masks of tensors: numbers, or encoded files."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidMaskError
from lacuna.raster.bands import BandSelection
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.masks import read_mask_file
from lacuna.raster.raster import Raster, narrow
from lacuna.raster.samples import select_bands
from service.wire.batch import ImageInput, ReadMask, check_count, measure_files
from service.wire.dialect import Footprint
from service.wire.tfserving_grpc.tensors import STRING, ProtoTensor


class _Mask(NamedTuple):
    """Mask of an image.

    Attributes:
        estimate_bytes: function that estimates the memory of decoding it, in bytes.
        read: function that decodes it; None if there is no mask.
    """

    estimate_bytes: Callable[[ImageLimits], int]
    read: ReadMask | None


_NO_MASK = _Mask(lambda _: 0, None)


def make_image_inputs(image: ProtoTensor, mask: ProtoTensor | None) -> list[ImageInput]:
    """Make the inputs of tensors. Their numbers and files are checked when they are read.

    Args:
        image: numbers N×H×W×C, or N encoded files.
        mask: numbers N×H×W or N×H×W×1, or N encoded files; None for no masks.

    Raises:
        RequestError: if there is no image, there are too many, or not as many masks.
    """
    count = image.shape[0]
    check_count(count)
    make_image = _make_file if image.type is STRING else _make_array
    masks = [_NO_MASK] * count if mask is None else _make_masks(mask, count)
    return [make_image(image, index, given) for index, given in enumerate(masks)]


def _make_array(image: ProtoTensor, index: int, mask: _Mask) -> ImageInput:
    count, height, width, channels = image.shape

    def measure(limits: ImageLimits) -> Footprint:
        check_size(limits, height, width, channels)
        needed_bytes = image.estimate_bytes() // count + mask.estimate_bytes(limits)
        return Footprint(height * width, needed_bytes)

    def read_image(_: ImageLimits, bands: BandSelection) -> Raster:
        return select_bands(Raster(narrow(image.array[index])), bands)

    return ImageInput(measure, read_image, mask.read)


def _make_file(image: ProtoTensor, index: int, mask: _Mask) -> ImageInput:
    file = ImageFile(image.values[index])

    def measure(limits: ImageLimits) -> Footprint:
        pixels, needed_bytes = measure_files(file, None, limits)
        return Footprint(pixels, needed_bytes + mask.estimate_bytes(limits))

    return ImageInput(measure, file.decode, mask.read)


def _make_masks(mask: ProtoTensor, count: int) -> list[_Mask]:
    if mask.shape[0] != count or mask.shape[3:] not in ((), (1,)):
        raise InvalidMaskError(
            f"mask must be [N, H, W], [N, H, W, 1] or N files, with N = {count} like the image; "
            f"its shape is {list(mask.shape)}"
        )
    make = _make_mask_file if mask.type is STRING else _make_mask_array
    return [make(mask, index) for index in range(count)]


def _make_mask_array(mask: ProtoTensor, index: int) -> _Mask:
    def read(_: ImageLimits) -> NDArray[np.bool_]:
        return np.asarray(mask.array[index] != 0, np.bool_).reshape(mask.shape[1:3])

    return _Mask(lambda _: mask.estimate_bytes() // mask.shape[0], read)


def _make_mask_file(mask: ProtoTensor, index: int) -> _Mask:
    file = ImageFile(mask.values[index])
    return _Mask(file.estimate_bytes, lambda limits: read_mask_file(file, limits))
