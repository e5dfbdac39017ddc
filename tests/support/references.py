"""NumPy references for masked arithmetic, written from the formulas and not from the code.

Everything is float64 and as plain as it can be: NaN stands for "invalid", windows are views, and
sums leave NaN out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pair = tuple[int, int]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Place(NamedTuple):
    """Where a kernel is put: its size, step, padding and dilation."""

    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: str = "same"
    dilation_rate: Pair = (1, 1)

    @property
    def spans(self) -> Pair:
        """Pixels from the first to the last that the kernel reads, vertically and horizontally."""
        (kh, kw), (dy, dx) = self.kernel_size, self.dilation_rate
        return (kh - 1) * dy + 1, (kw - 1) * dx + 1


def windows_under_kernel(values: NDArray[Any], place: Place, outside: Any) -> NDArray[Any]:
    """Give what the kernel reads at each of its places.

    Args:
        values: (N, H, W, C).
        place: of the kernel.
        outside: what lies beyond the image's border.

    Returns:
        (N, H', W', C, kh, kw).
    """
    (height, width), (sy, sx), (dy, dx) = place.spans, place.strides, place.dilation_rate
    if place.padding == "same":
        top, left = (height - 1) // 2, (width - 1) // 2
        around = [(0, 0), (top, top), (left, left), (0, 0)]
        values = np.pad(values, around, constant_values=outside)
    windows = sliding_window_view(values, (height, width), axis=(1, 2))
    return windows[:, ::sy, ::sx, :, ::dy, ::dx]


def masked_conv2d(
    x: NDArray[Any],
    mask: Bools,
    kernel: NDArray[Any],
    bias: NDArray[Any],
    place: Place,
    normalization: str,
    mask_update: str,
    fill_value: float = 0.0,
) -> tuple[Floats, Bools]:
    """Compute one layer of masking.md.

    Args:
        x: float (N, H, W, C).
        mask: bool (N, H, W, 1).
        kernel: float (kh, kw, C, F).
        bias: float (F,).
        place: of the kernel.
        normalization: "none", "mean", "area" or "variance".
        mask_update: "keep", "any" or "all".
        fill_value: of invalid outputs.

    Returns:
        float64 (N, H', W', F), bool (N, H', W', 1).
    """
    known = np.where(mask, x, np.nan).astype(np.float64)
    windows = windows_under_kernel(known, place, np.nan)
    weights = kernel.astype(np.float64).transpose(2, 0, 1, 3)
    total = np.nansum(windows[..., None] * weights, axis=(3, 4, 5))
    count = windows_under_kernel(mask, place, outside=False).sum(axis=(3, 4, 5))[..., None]
    area = kernel.shape[0] * kernel.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = {
            "none": np.ones(count.shape),
            "mean": 1 / count,
            "area": area / count,
            "variance": np.sqrt(area / count),
        }[normalization]
        y = np.where(count > 0, total * scale, 0) + bias
    updated = {
        "any": count > 0,
        "all": count == area,
        "keep": any_in_own_block(mask, place, count.shape[1:3]),
    }[mask_update]
    return np.where(updated, y, fill_value), updated


def any_in_own_block(mask: Bools, place: Place, size: Pair) -> Bools:
    """Tell for each output whether a pixel of its own block, a step high and wide, is valid.

    Padded, blocks start at the top left. Unpadded, an output's block is the middle of its window.
    """
    steps = list(zip(place.spans, place.strides, strict=True))
    starts = [0 if place.padding == "same" else max(span - step, 0) // 2 for span, step in steps]
    result = np.zeros((len(mask), *size, 1), bool)
    for row in range(size[0]):
        for column in range(size[1]):
            top, left = row * place.strides[0] + starts[0], column * place.strides[1] + starts[1]
            block = mask[:, top : top + place.strides[0], left : left + place.strides[1]]
            result[:, row, column] = block.any(axis=(1, 2))
    return result


def any_in_blocks(mask: Bools, factor: int) -> Bools:
    """Shrink a mask (N, H, W, 1): a cell is valid if any of its factor × factor pixels is."""
    rows = [mask[:, at : at + factor].any(axis=1) for at in range(0, mask.shape[1], factor)]
    tall = np.stack(rows, axis=1)
    columns = [tall[:, :, at : at + factor].any(axis=2) for at in range(0, mask.shape[2], factor)]
    return np.stack(columns, axis=2)


def coverage(mask: Bools, kernel_size: int) -> Floats:
    """Give area / count where the mask is valid and 0 elsewhere, (N, H, W, 1)."""
    place = Place((kernel_size, kernel_size))
    count = windows_under_kernel(mask, place, outside=False).sum(axis=(3, 4, 5))[..., None]
    return np.where(mask, kernel_size**2 / np.maximum(count, 1), 0.0)


def masked_cross_entropy(labels: NDArray[Any], logits: NDArray[Any]) -> float:
    """Mean over the labelled pixels of an image, then over the images that have any."""
    means = []
    for truth, scores in zip(labels, logits.astype(np.float64), strict=True):
        known = truth != 255
        if known.any():
            chosen = scores[known]
            log_total = np.log(np.exp(chosen).sum(axis=-1))
            means.append(np.mean(log_total - chosen[np.arange(len(chosen)), truth[known]]))
    return float(np.mean(means)) if means else 0.0


def count_pairs(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count labelled pixels by true and predicted class, one pixel at a time."""
    table = np.zeros((classes, classes), np.int64)
    for row, column in zip(truth.flat, predicted.flat, strict=True):
        if row != 255:
            table[row, column] += 1
    return table


def mean_iou(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> float:
    """Mean of intersection / union over the classes that occur, by sets of pixels."""
    known = truth != 255
    scores = []
    for name in range(classes):
        is_true, is_predicted = (truth == name) & known, (predicted == name) & known
        union = (is_true | is_predicted).sum()
        if union:
            scores.append((is_true & is_predicted).sum() / union)
    return float(np.mean(scores)) if scores else 0.0
