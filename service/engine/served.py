"""Model that serves, with what the engine knows about running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from lacuna.windows.tiling import Tiling
from service.core.buckets import Ladder
from service.core.cost import BatchCost
from service.core.cost_correction import CostCorrection
from service.runtime.probe import ContractReport
from service.runtime.protocol import Runtime

UNCALIBRATED = BatchCost(call_s=3e-4, pixel_s=5e-7)
"""Cost of the demo model on one core of a machine of 2024, used until a model is calibrated."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """Loaded model that serves requests.

    Attributes:
        name: Name of the model's folder in the repository.
        version: Version, digits.
        runtime: Runtime that runs the model.
        contract: Report of the contract check. Only if the contract holds are images padded, tiled
            and batched with windows of other sizes.
        cost: Cost of a call, as it was calibrated.
        correction: Correction of this cost by the calls that have run.
    """

    name: str
    version: str
    runtime: Runtime
    contract: ContractReport
    cost: BatchCost = UNCALIBRATED
    correction: CostCorrection = field(default_factory=CostCorrection)

    @cached_property
    def ladder(self) -> Ladder:
        """Ladder of the sides that its windows are padded to."""
        return Ladder(self.runtime.manifest.total_stride)

    @cached_property
    def halo(self) -> int:
        """Halo in pixels that an input window needs around its output window: whole cells."""
        manifest = self.runtime.manifest
        return -(-manifest.receptive_radius // manifest.total_stride) * manifest.total_stride

    def choose_bucket(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width in pixels that a window is padded to."""
        return (
            self.ladder.choose_bucket((height, width)) if self.contract.holds else (height, width)
        )

    def price_window(self, height: int, width: int) -> float:
        """Return the calibrated seconds of one worker for this window alone.

        They compare windows with each other. `predict_s` says how long a window will take.
        """
        bucket_height, bucket_width = self.choose_bucket(height, width)
        return self.cost.predict(bucket_height * bucket_width)

    def predict_s(self, height: int, width: int) -> float:
        """Predict the seconds of one worker for this window alone."""
        return self.price_window(height, width) * self.correction.factor

    def predict_call_s(self, pixels: int) -> float:
        """Predict the seconds of one worker for a call of so many pixels n · H · W."""
        return self.cost.predict(pixels) * self.correction.factor

    def note_call(self, pixels: int, seconds: float) -> None:
        """Correct later predictions by a finished call; from any thread.

        Args:
            pixels: Number of computed pixels n · H · W.
            seconds: Seconds that it occupied a worker.
        """
        self.correction.note(self.cost.predict(pixels), seconds)

    def make_tiling(self, max_pixels: int) -> Tiling:
        """Return the rules for the tiles of this model.

        Args:
            max_pixels: Largest H · W of a window.
        """
        return Tiling(self.runtime.manifest.total_stride, self.halo, max_pixels)
