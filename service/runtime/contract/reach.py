"""Parts of the contract check: how far an output looks, and on which grid a model may be shifted.

Neither the receptive radius nor the total stride may exceed what the manifest states.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from service.runtime.contract.probe import TOLERANCE, Images, Masks, ModelProbe, count_differing
from service.runtime.contract.report import Check


def check_receptive_radius(probe: ModelProbe) -> Check:
    """Change values and mask beyond a line, and measure how far before it the output changes."""
    stated, stride = probe.manifest.receptive_radius, probe.manifest.total_stride
    tolerance = _measure_rounding(probe)
    middle = -(-(stated + 2 * stride + 16) // stride) * stride
    width, measured = 2 * middle, 0
    # What begins with the second or the last pixel of a cell is felt furthest.
    phases = {*range(0, stride, max(stride // 8, 1)), min(1, stride - 1), stride - 1}
    for line in (middle + phase for phase in sorted(phases)):
        images, masks = probe.draw_images(2, 24, width), probe.draw_masks(2, 24, width)
        other, hidden = images.copy(), masks.copy()
        other[:, :, line:] = probe.draw_images(2, 24, width - line)
        hidden[:, :, line:] = probe.draw_masks(3, 24, width - line)[1:]
        for turns in range(4):
            first, second = (
                np.rot90(probe.run(*_turn(*pair, turns)).probabilities, -turns, axes=(1, 2))
                for pair in ((images, masks), (other, hidden))
            )
            changed = (~(np.abs(first - second) <= tolerance)).any(axis=(0, 1, 3))
            measured = max(measured, line - int(np.argmax(changed))) if changed.any() else measured
    return Check(
        "receptive radius",
        measured <= stated,
        f"measured {measured} pixels; the manifest says {stated}",
    )


def _measure_rounding(probe: ModelProbe) -> float:
    """Return the largest difference of probabilities that is rounding; 0 if the bits agree."""
    images, masks = probe.draw_images(3, 37, 53), probe.draw_masks(3, 37, 53)
    together, alone = probe.run(images, masks)[0], probe.run(images[:1], masks[:1])[0]
    return min(TOLERANCE, 10 * float(np.abs(together.probabilities - alone.probabilities).max()))


def _turn(images: Images, masks: Masks, turns: int) -> tuple[Images, Masks]:
    """Rotate images and masks by a number of quarter turns."""
    return (
        np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2))),
        np.ascontiguousarray(np.rot90(masks, turns, axes=(1, 2))),
    )


def check_total_stride(probe: ModelProbe) -> Check:
    """Crop the first rows and columns by the total stride, which must not change the output."""
    stated = probe.manifest.total_stride
    # Well beyond the stated radius, which another part of the check verifies.
    radius = probe.manifest.receptive_radius + 2 * stated + 16
    side = radius + 3 * stated + 32
    images, masks = probe.draw_images(2, side, side), probe.draw_masks(2, side, side)
    whole = probe.run(images, masks)

    @cache
    def count_at(shift: int) -> int:
        moved = (slice(None), slice(shift, None), slice(shift, None))
        inner = (slice(None), slice(radius, None), slice(radius, None))
        cut = probe.run(np.ascontiguousarray(images[moved]), np.ascontiguousarray(masks[moved]))
        return count_differing(cut[inner], whole[moved][inner])

    divisors = [n for n in range(1, stated + 1) if stated % n == 0]
    measured = next((n for n in divisors if count_at(n) == 0), None)
    found = f"measured {measured} pixels" if measured else "no grid was found"
    return Check("total stride", count_at(stated) == 0, f"{found}; the manifest says {stated}")
