"""Correction of a calibrated cost by the calls that run.

1. A model is calibrated while it warms up, and the calibration is kept for later starts. If the
   machine is busy meanwhile, or becomes slower or faster later, calls take another time than the
   calibration says.
2. The correction is one factor for all calls: the median of measured / calibrated seconds over the
   last calls. It follows once most of them agree, so a lasting change is followed within 16 calls,
   and up to 15 calls that were held up change nothing.
3. One factor, because it leaves `BatchCost.call_pixels` as it is. Merging and splitting weigh calls
   against pixels, and stay the same on a slow machine; only predicted seconds change.
4. The factor is not stored. A new process begins with the calibration and learns as fast as this
   one did.
"""

from __future__ import annotations

WINDOW = 31
"""Number of calls that the median is of."""

# Bounds of the factor. A model without a calibration has the demo's cost, and may be as different
# as this. Beyond, the clock is wrong.
_MIN_FACTOR = 1e-3
_MAX_FACTOR = 1e3


class CostCorrection:
    """Factor by which calls of a model take longer than calibrated.

    Several threads may call `note` and read `factor`. The list never changes its length, and
    sorting copies it first. If two threads write to one place, one measurement is lost, which does
    not matter.

    Attributes:
        factor: Measured seconds per calibrated second; 1 before the first calls.
    """

    __slots__ = ("_next", "_ratios", "factor")

    def __init__(self) -> None:
        self._ratios = [1.0] * WINDOW
        self._next = 0
        self.factor = 1.0

    def note(self, calibrated_s: float, measured_s: float) -> None:
        """Note a finished call.

        Args:
            calibrated_s: Seconds of the call by the calibrated cost, without the correction.
            measured_s: Seconds that it took.
        """
        place = self._next
        self._next = (place + 1) % WINDOW
        self._ratios[place] = measured_s / calibrated_s
        median = sorted(self._ratios)[WINDOW // 2]
        self.factor = min(max(median, _MIN_FACTOR), _MAX_FACTOR)
