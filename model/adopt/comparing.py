"""A converted network beside the original, on sample images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import LacunaError
from lacuna.raster.formats import IMAGE_SUFFIXES
from model.adopt.adopting import Adoption
from model.adopt.measuring import Probe
from model.adopt.options import WHITES
from model.adopt.source import AdoptionError, as_float, first_line
from model.convert.report import Difference, compare
from model.data.reading import read_image

_MOST = 16
_SIDE = 512
_MASK = "-mask"
_RANDOM = ((96, 128), (128, 160), (160, 96))


class Samples(NamedTuple):
    """Images to compare on.

    Attributes:
        source: where they come from.
        images: raw values (H, W, C) of each.
        masks: bool (H, W) of each, True = valid.
    """

    source: str
    images: list[NDArray[Any]]
    masks: list[NDArray[np.bool_]]


def compare_samples(adoption: Adoption, samples: Samples) -> list[Difference]:
    """Count the labels that conversion changes.

    Args:
        adoption: of a converted network.
        samples: from `read_samples` or `draw_samples`.
    """
    plan, source, conversion = adoption.plan, adoption.source, adoption.conversion
    if conversion is None:
        raise ValueError("`adoption` must be of a converted network. Received: a plain one")
    scale, offset = as_float(plan.scaling.scale), as_float(plan.scaling.offset)
    threshold = plan.options.threshold
    if plan.meaning == "logits":
        threshold = math.log(threshold / (1 - threshold)) if 0 < threshold < 1 else math.inf
    return compare(
        source.network,
        conversion,
        [as_float(image) * scale + offset for image in samples.images],
        masks=samples.masks,
        threshold=threshold,
    )


def read_samples(folder: Path, adoption: Adoption) -> Samples:
    """Read the first 16 images of a folder, of each at most 512 × 512 pixels.

    Args:
        folder: with images. Masks, `NAME-mask.png`, and other files are left out.
        adoption: whose type of images and channels they must have.

    Raises:
        AdoptionError: if there is no image, or one cannot be read or does not fit the network.
    """
    options, channels = adoption.plan.options, adoption.plan.layout.channels
    samples = Samples("", [], [])
    for path in sorted(folder.glob("[!.]*")):
        if len(samples.images) == _MOST or path.stem.endswith(_MASK) or not path.is_file():
            continue
        try:
            image = read_image(path.read_bytes())
        except (LacunaError, OSError) as error:
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            raise AdoptionError(
                f"samples must be images that can be read; {path} is not: {first_line(error)}"
            ) from error
        values = image.values
        if values.shape[2] != channels or options.dtype not in (str(values.dtype), "float32"):
            raise AdoptionError(
                f"samples must have {channels} channels of {options.dtype}, as the network's "
                f"images; {path} has {values.shape[2]} of {values.dtype}"
            )
        if min(values.shape[:2]) >= _find_least(adoption):
            samples.images.append(values[:_SIDE, :_SIDE])
            samples.masks.append(image.valid[:_SIDE, :_SIDE])
    if not samples.images:
        raise AdoptionError(
            f"--samples must be a folder of images of at least {_find_least(adoption)} pixels in "
            f"height and width; {folder} has none"
        )
    count = len(samples.images)
    return samples._replace(source=f"{count} image{'s' * (count > 1)} in {folder}")


def draw_samples(adoption: Adoption) -> Samples:
    """Draw random images, the same ones each time."""
    plan = adoption.plan
    white = WHITES[plan.options.dtype]
    probe = Probe(lambda image: image, plan.layout.channels, (0.0, white))
    least = _find_least(adoption)
    sizes: Sequence[tuple[int, int]] = [(max(h, least), max(w, least)) for h, w in _RANDOM]
    images = [probe.draw(height, width)[0] for height, width in sizes]
    masks = [np.ones(image.shape[:2], bool) for image in images]
    return Samples("random images, which say little about yours: give --samples DIR", images, masks)


def _find_least(adoption: Adoption) -> int:
    """Return the least side of an image that the original takes."""
    sides = adoption.source.network.inputs[0].shape[1:3]
    return max(side or int(adoption.manifest["total_stride"]) for side in sides)
