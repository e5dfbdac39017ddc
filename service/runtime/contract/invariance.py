"""Parts of the contract check: what must not change the output of a model.

Labels must not change at all, and probabilities only by rounding. Probabilities are compared as
well because a model might give the same label to all random images.
"""

from __future__ import annotations

import numpy as np

from lacuna.sample import INVALID_LABEL
from service.runtime.contract.probe import Images, Masks, ModelProbe, Output, count_differing
from service.runtime.contract.report import BATCH_MATES, Check

# Sizes of the images that are placed on canvases: one pixel, odd sides, and whole cells.
_SIZES = ((1, 1), (7, 5), (37, 53), (64, 48))


def _make_check(name: str, differing: int, pixels: int) -> Check:
    return Check(name, differing == 0, f"{differing} of {pixels} pixels differ")


def check_outputs(probe: ModelProbe) -> Check:
    """Check that valid pixels get a class and others the label 255."""
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(3, *size), probe.draw_masks(3, *size)
    labels = probe.run(images, masks).labels
    wrong = int(np.count_nonzero((labels == INVALID_LABEL) == masks))
    wrong += int(np.count_nonzero(labels[masks] >= len(probe.manifest.classes)))
    return Check(
        "labels",
        wrong == 0,
        f"{wrong} of {masks.size} labels are not a class id, or not 255 where invalid",
    )


def _run_on_canvas(
    probe: ModelProbe, image: Images, mask: Masks, canvas: tuple[int, int]
) -> Output:
    """Run an image in the top left corner of a canvas of noise that the mask hides."""
    height, width = mask.shape
    images = probe.draw_images(1, *canvas)
    masks = np.zeros((1, *canvas), bool)
    images[0, :height, :width], masks[0, :height, :width] = image, mask
    return probe.run(images, masks)[0, :height, :width]


def check_canvas(probe: ModelProbe) -> Check:
    """Compare images alone with the same on larger canvases."""
    stride = probe.manifest.total_stride
    differing = pixels = 0
    for height, width in _SIZES:
        images, masks = probe.draw_images(2, height, width), probe.draw_masks(2, height, width)
        for image, mask in zip(images, masks, strict=True):
            alone = probe.run(image[None], mask[None])[0]
            for bottom, right in ((1, 0), (3, 2 * stride + 1), (2 * stride, 40)):
                moved = _run_on_canvas(probe, image, mask, (height + bottom, width + right))
                differing += count_differing(moved, alone)
                pixels += mask.size
    return _make_check("canvas", differing, pixels)


def check_batch_mates(probe: ModelProbe) -> Check:
    """Compare images alone with the same beside others, in two orders."""
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(5, *size), probe.draw_masks(5, *size)
    together = probe.run(images, masks)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = probe.run(images[order], masks[order])
    differing = count_differing(shuffled, together[order])
    for index in range(len(images)):
        alone = probe.run(images[index : index + 1], masks[index : index + 1])
        differing += count_differing(alone[0], together[index])
    return _make_check(BATCH_MATES, differing, 2 * masks.size)


def check_fill(probe: ModelProbe) -> Check:
    """Compare images with other values under the mask."""
    size = probe.limit(40, 56)
    images, masks = probe.draw_images(2, *size), probe.draw_masks(3, *size)[1:]

    def fill(value: float) -> Output:
        return probe.run(np.where(masks[..., None], images, np.float32(value)), masks)

    fills = (np.nan, np.inf, -np.inf, 1e30)
    differing = sum(count_differing(fill(value), fill(0)) for value in fills)
    return _make_check("values under the mask", differing, len(fills) * masks.size)


def check_signatures(probe: ModelProbe) -> Check:
    """Compare labels that are asked for alone with those beside probabilities."""
    size = probe.limit(37, 53)
    images, masks = probe.draw_images(2, *size), probe.draw_masks(2, *size)
    both = probe.run(images, masks).labels
    alone = probe.runtime.run(images, masks, probabilities=False).labels
    return _make_check("signatures", int(np.count_nonzero(both != alone)), masks.size)


def check_windows(probe: ModelProbe) -> Check:
    """Compare windows that are computed alone with the same windows of whole images."""
    length = 2 * probe.manifest.receptive_radius + 64
    differing = pixels = 0
    for height, width in ((37, length), (length, 53)):
        images, masks = probe.draw_images(3, height, width), probe.draw_masks(3, height, width)
        whole = probe.run(images, masks)
        for _ in range(3):
            keep = probe.draw_window(height, width)
            alone = probe.run(images, masks, keep)
            labels = probe.runtime.run(images, masks, probabilities=False, keep=keep).labels
            mate = probe.run(images[1:2], masks[1:2], keep)
            differing += count_differing(alone, whole[:, *keep.slices])
            differing += count_differing(mate, alone[1:2])
            differing += int(np.count_nonzero(labels != alone.labels))
            pixels += 3 * alone.labels.size
    return _make_check("windows", differing, pixels)


def check_strips(probe: ModelProbe) -> Check:
    """Compare images that are computed on strips with the same images computed whole."""
    cell = probe.manifest.total_stride
    differing = pixels = 0
    for height, width in ((5 * cell + 3, 20 * cell + 5), (30 * cell, 9 * cell - 1)):
        images, masks = probe.draw_images(4, height, width), probe.draw_masks(4, height, width)
        masks[1:] &= probe.draw_cells(3, height, width)
        whole, on_strips = (probe.run(images, masks, on_strips=chosen) for chosen in (False, True))
        labels = probe.runtime.run(images, masks, probabilities=False, on_strips=True).labels
        mate = probe.run(images[2:3], masks[2:3], on_strips=True)
        differing += count_differing(on_strips, whole) + count_differing(mate, whole[2:3])
        differing += int(np.count_nonzero(labels != whole.labels))
        pixels += 2 * masks.size + masks[0].size
    return _make_check("strips", differing, pixels)
