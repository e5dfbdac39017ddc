"""Labels that conversion changes, counted on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from model.convert.converting import Conversion

MISSING = (0.1, 0.3, 0.6)
_BLOCK = 8
_CANVAS = 64

Label = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


class Difference(NamedTuple):
    """Labels that differ from those of the original network on the image as it is.

    Attributes:
        case: what was compared.
        pixels: valid pixels that were compared.
        before: share of the original's labels that differ, missing pixels being 0; None if it
            cannot be run so.
        after: share of the converted network's.
    """

    case: str
    pixels: int
    before: float | None
    after: float


def compare(
    network: keras.Model,
    conversion: Conversion,
    images: Sequence[NDArray[Any]],
    output: int = 0,
    *,
    masks: Sequence[NDArray[Any]] | None = None,
    threshold: float = 0.5,
) -> list[Difference]:
    """Count labels that differ, of the original and of the converted network.

    Near borders, and with missing pixels, the labels are compared with the original's on the
    complete image. With another canvas, they are compared with the same network's.

    Args:
        network: the original.
        conversion: of it.
        images: float32 (H, W, C), as the network takes them. Right and bottom are cropped to
            multiples of the total stride, or to the size that the network takes.
        output: index of the original's output with the scores.
        masks: bool (H, W) of each, True = valid; None if all pixels are.
        threshold: score from which a pixel is of the second class, if there is one output.

    Returns:
        A row for each case.
    """
    before = _label_plain(network, output, threshold)
    after = _label_masked(conversion, threshold)
    rng = np.random.default_rng(0)
    counts: dict[str, list[Any]] = {}
    size = tuple(network.inputs[0].shape[1:3])
    for index, image in enumerate(images):
        mask = np.ones(image.shape[:2], bool) if masks is None else masks[index]
        image, mask = (_crop(part, conversion.total_stride, size) for part in (image, mask))  # noqa: PLW2901
        expected, found = before(image, mask), after(image, mask)
        border = _find_border(mask, conversion)
        _count(counts, "near borders", mask & border, expected, expected, found)
        _count(counts, "elsewhere", mask & ~border, expected, expected, found)
        for fraction in MISSING:
            holes = mask & _draw_mask(rng, mask.shape, fraction)
            labels = before(image, holes), after(image, holes)
            _count(counts, f"{fraction:.0%} missing", holes, expected, *labels)
        padded = np.pad(image, ((0, _CANVAS), (0, _CANVAS), (0, 0)))
        canvas = np.pad(mask, ((0, _CANVAS), (0, _CANVAS)))
        height, width = mask.shape
        changed = [
            label(padded, canvas)[:height, :width] != own
            for label, own in ((before, expected), (after, found))
            if size == (None, None) or label is after
        ]
        _add(counts, "in another canvas", mask, changed[0], changed[-1])
    is_fixed = size != (None, None)
    return [
        Difference(
            case,
            pixels,
            None if is_fixed and case == "in another canvas" else one / max(pixels, 1),
            other / max(pixels, 1),
        )
        for case, (pixels, one, other) in counts.items()
    ]


def _label_plain(network: keras.Model, output: int, threshold: float) -> Label:
    def label(image: Any, mask: Any) -> Any:
        known = np.where(mask[..., None], image, np.float32(0))
        scores = keras.tree.flatten(network(known[None], training=False))[output]
        if scores.shape[1] != mask.shape[0]:
            scores = keras.ops.image.resize(scores, mask.shape, "bilinear")
        return _choose(np.asarray(scores)[0], threshold)

    return label


def _label_masked(conversion: Conversion, threshold: float) -> Label:
    def label(image: Any, mask: Any) -> Any:
        scores = conversion.network([image[None], mask[None, ..., None]], training=False)
        return _choose(np.asarray(scores)[0], threshold)

    return label


def _choose(scores: NDArray[Any], threshold: float) -> NDArray[Any]:
    """Return labels: of one output, whether it reaches the threshold."""
    return scores.argmax(axis=-1) if scores.shape[-1] > 1 else scores[..., 0] >= threshold


def _crop(values: NDArray[Any], stride: int, size: tuple[int | None, ...]) -> NDArray[Any]:
    height, width = (
        fixed or side - side % stride for side, fixed in zip(values.shape, size, strict=False)
    )
    return values[:height, :width]


def _find_border(mask: NDArray[Any], conversion: Conversion) -> NDArray[Any]:
    radius = conversion.receptive_radius
    border = np.ones_like(mask)
    if radius is not None:
        height, width = mask.shape
        border[radius : max(height - radius, radius), radius : max(width - radius, radius)] = False
    return border


def _draw_mask(rng: Any, shape: tuple[int, ...], fraction: float) -> NDArray[Any]:
    """Draw missing squares, as of clouds seen coarsely."""
    rows, columns = (-(-side // _BLOCK) for side in shape)
    valid = rng.random((rows, columns)) >= fraction
    return valid.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[: shape[0], : shape[1]]


def _count(
    counts: dict[str, list[Any]], case: str, where: Any, expected: Any, before: Any, after: Any
) -> None:
    _add(counts, case, where, before != expected, after != expected)


def _add(counts: dict[str, list[Any]], case: str, where: Any, before: Any, after: Any) -> None:
    entry = counts.setdefault(case, [0, 0, 0])
    for index, part in enumerate((where, where & before, where & after)):
        entry[index] += int(part.sum())
