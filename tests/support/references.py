"""NumPy references for masked arithmetic, written from the formulas and not from the code.

Everything is float64 and as plain as it can be: NaN stands for "invalid", windows are views, and
sums leave NaN out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pair = tuple[int, int]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Reservation(NamedTuple):
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


def windows_under_kernel(values: NDArray[Any], place: Reservation, outside: Any) -> NDArray[Any]:
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
    place: Reservation,
    normalization: str,
    mask_update: str,
    fill_value: float = 0.0,
    taps: NDArray[Any] | None = None,
    extent: Bools | None = None,
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
        taps: bool (kh, kw, C, F), which of the kernel are in use; all, if not given.
        extent: bool (N, H, W, 1), over which pixels the mask may grow; all, if not given.

    Returns:
        float64 (N, H', W', F), bool (N, H', W', 1).
    """
    taps = np.ones(kernel.shape, bool) if taps is None else taps
    kernel = np.where(taps, kernel, 0)
    known = np.where(mask, x, np.nan).astype(np.float64)
    windows = windows_under_kernel(known, place, np.nan)
    weights = kernel.astype(np.float64).transpose(2, 0, 1, 3)
    total = np.nansum(windows[..., None] * weights, axis=(3, 4, 5))
    seen = np.repeat(windows_under_kernel(mask, place, outside=False), kernel.shape[2], axis=3)
    used = (seen[..., None] & taps.transpose(2, 0, 1, 3)).sum(axis=(3, 4, 5))
    available = taps.sum(axis=(0, 1, 2))
    count, area = used / kernel.shape[2], available / kernel.shape[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = {
            "none": np.ones(count.shape),
            "mean": 1 / count,
            "area": area / count,
            "variance": np.sqrt(area / count),
        }[normalization]
        y = np.where(count > 0, total * scale, 0) + bias
    size = used.shape[1:3]
    inside = True if extent is None else any_in_own_block(extent, place, size)
    updated = {
        "any": (used > 0).any(axis=-1, keepdims=True) & inside,
        "all": (used == available).all(axis=-1, keepdims=True),
        "keep": any_in_own_block(mask, place, size),
    }[mask_update]
    return np.where(updated, y, fill_value), updated


def any_in_own_block(mask: Bools, place: Reservation, size: Pair) -> Bools:
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
    place = Reservation((kernel_size, kernel_size))
    count = windows_under_kernel(mask, place, outside=False).sum(axis=(3, 4, 5))[..., None]
    return np.where(mask, kernel_size**2 / np.maximum(count, 1), 0.0)


def grouped_kernel(kernel: NDArray[Any], groups: int) -> NDArray[Any]:
    """Write a kernel (kh, kw, C / groups, F) out as (kh, kw, C, F), 0 between the groups."""
    height, width, channels, filters = kernel.shape
    whole = np.zeros((height, width, channels * groups, filters))
    for group in range(groups):
        rows = slice(group * channels, (group + 1) * channels)
        columns = slice(group * filters // groups, (group + 1) * filters // groups)
        whole[:, :, rows, columns] = kernel[..., columns]
    return whole


def depthwise_kernel(kernel: NDArray[Any]) -> NDArray[Any]:
    """Write a depthwise kernel (kh, kw, C, M) out as (kh, kw, C, C · M)."""
    height, width, channels, multiplier = kernel.shape
    return grouped_kernel(kernel.reshape(height, width, 1, channels * multiplier), channels)


def masked_conv2d_transpose(
    x: NDArray[Any],
    mask: Bools,
    kernel: NDArray[Any],
    bias: NDArray[Any],
    strides: Pair,
    normalization: str,
    finer: Bools | None = None,
) -> tuple[Floats, Bools]:
    """Compute a transposed convolution by letting each valid pixel spread its kernel.

    Args:
        x: float (N, H, W, C).
        mask: bool (N, H, W, 1).
        kernel: float (kh, kw, F, C).
        bias: float (F,).
        strides: vertical and horizontal.
        normalization: "none", "mean", "area" or "variance".
        finer: bool (N, H · sy, W · sx, 1), which outputs may be valid; if not given, those in the
            cell of a valid pixel.

    Returns:
        float64 (N, H · sy, W · sx, F), bool (N, H · sy, W · sx, 1).
    """
    known = np.where(mask, x, 0).astype(np.float64)
    total = _spread(known, kernel.transpose(0, 1, 3, 2).astype(np.float64), strides)
    ones = np.ones((*kernel.shape[:2], 1, 1))
    count = _spread(mask.astype(np.float64), ones, strides)
    # One cell that lies so deep in an image without holes that nothing is missing.
    deep = kernel.shape[0] * kernel.shape[1]
    plane = _spread(np.ones((1, 2 * deep + 1, 2 * deep + 1, 1)), ones, strides)
    rows = slice(deep * strides[0], (deep + 1) * strides[0])
    columns = slice(deep * strides[1], (deep + 1) * strides[1])
    area = np.tile(plane[:, rows, columns], (1, *mask.shape[1:3], 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = {
            "none": np.ones(count.shape),
            "mean": 1 / count,
            "area": area / count,
            "variance": np.sqrt(area / count),
        }[normalization]
        y = np.where(count > 0, total * scale, 0) + bias
    updated = np.kron(mask, np.ones((1, *strides, 1))) > 0 if finer is None else finer & (count > 0)
    return np.where(updated, y, 0), updated


def _spread(values: Floats, kernel: Floats, strides: Pair) -> Floats:
    """Add kernel (kh, kw, C, F) times each pixel (N, H, W, C) into its place on a finer grid."""
    (n, height, width, _), (kh, kw, _, filters) = values.shape, kernel.shape
    canvas = np.zeros((n, height * strides[0] + kh, width * strides[1] + kw, filters))
    for row in range(height):
        for column in range(width):
            top, left = row * strides[0], column * strides[1]
            patch = np.einsum("nc,ijcf->nijf", values[:, row, column], kernel)
            canvas[:, top : top + kh, left : left + kw] += patch
    top, left = [(k - s) // 2 for k, s in zip((kh, kw), strides, strict=True)]
    return canvas[:, top : top + height * strides[0], left : left + width * strides[1]]


def normalized_conv2d(
    x: NDArray[Any],
    confidence: NDArray[Any],
    applicability: NDArray[Any],
    bias: NDArray[Any],
    place: Reservation,
    extent: Bools | None = None,
) -> tuple[Floats, Floats]:
    """Average what lies under the kernel, weighted by applicability times confidence.

    Args:
        x: float (N, H, W, C).
        confidence: float (N, H, W, 1), 0 to 1.
        applicability: float (kh, kw, C, F), ≥ 0.
        bias: float (F,).
        place: of the kernel.
        extent: bool (N, H, W, 1), over which pixels confidence may grow; all, if not given.

    Returns:
        float64 (N, H', W', F), confidence float64 (N, H', W', 1).
    """
    known = np.where(confidence > 0, x, 0).astype(np.float64)
    sure = np.broadcast_to(confidence, x.shape).astype(np.float64)
    values = windows_under_kernel(known, place, 0.0)[..., None]
    weights = windows_under_kernel(sure, place, 0.0)[..., None]
    weights = weights * applicability.astype(np.float64).transpose(2, 0, 1, 3)
    total, weight = (values * weights).sum(axis=(3, 4, 5)), weights.sum(axis=(3, 4, 5))
    seen = weight.sum(axis=-1, keepdims=True) / applicability.sum(dtype=np.float64)
    if extent is not None:
        seen = np.where(any_in_own_block(extent, place, seen.shape[1:3]), seen, 0)
    means = np.divide(total, weight, out=np.zeros(total.shape), where=weight > 0)
    return np.where(seen > 0, means + bias, 0), seen


def pool_cells(
    x: NDArray[Any], mask: Bools, size: Pair, reduce: Callable[[Floats], Floats]
) -> tuple[Floats, Bools]:
    """Reduce the valid pixels (n, C) of each cell, 0 where a cell has none."""
    (n, height, width, channels), (rows, columns) = x.shape, size
    shape = (n, -(-height // rows), -(-width // columns))
    y, updated = np.zeros((*shape, channels)), np.zeros((*shape, 1), bool)
    for index, row, column in np.ndindex(*shape):
        cell = (
            index,
            slice(row * rows, (row + 1) * rows),
            slice(column * columns, (column + 1) * columns),
        )
        chosen = x[cell][mask[cell][..., 0]].astype(np.float64)
        if len(chosen):
            y[index, row, column], updated[index, row, column] = reduce(chosen), True
    return y, updated


def upsample_bilinear(x: NDArray[Any], mask: Bools, finer: Bools, factor: int) -> Floats:
    """Interpolate between the centres of valid pixels, renormalised by their weights."""
    rows, columns = (_hat(side, factor) for side in x.shape[1:3])
    known, valid = np.where(mask, x, 0).astype(np.float64), mask.astype(np.float64)
    total, weight = (
        np.einsum("ih,jw,nhwc->nijc", rows, columns, values) for values in (known, valid)
    )
    means = np.divide(total, weight, out=np.zeros(total.shape), where=weight > 0)
    return np.where(finer, means, 0)


def _hat(side: int, factor: int) -> Floats:
    """Weights (side · factor, side) of linear interpolation; an image ends in nothing."""
    centres = (np.arange(side * factor) + 0.5) / factor - 0.5
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(side)))


def image_norm(
    x: NDArray[Any],
    mask: Bools,
    groups: int,
    gamma: NDArray[Any],
    beta: NDArray[Any],
    epsilon: float,
) -> Floats:
    """Normalise each image and group of channels by its valid pixels, one at a time."""
    y = np.where(mask, x, 0).astype(np.float64)
    for image, valid in zip(y, mask[..., 0], strict=True):
        for channels in np.split(np.arange(x.shape[-1]), groups):
            chosen = image[valid][:, channels]
            mean, variance = (chosen.mean(), chosen.var()) if len(chosen) else (0.0, 0.0)
            image[..., channels] = (image[..., channels] - mean) / np.sqrt(variance + epsilon)
    return y * gamma + beta


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
