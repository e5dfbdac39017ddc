"""A model that answers, and what the engine knows of running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from service.core.buckets import Ladder
from service.core.cost import BatchCost
from service.core.windows import Tiling
from service.runtime.probe import ContractReport
from service.runtime.protocol import Runtime

UNCALIBRATED = BatchCost(call_s=3e-4, pixel_s=5e-7)
"""Of the demo on one core of 2024; until a model's own is measured."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that answers.

    Attributes:
        name: of its folder in the repository.
        version: of its sub-folder, digits.
        runtime: that runs it.
        contract: what the contract check found. Images are padded, tiled and given mates of other
            sizes only where it holds.
        cost: of a call.
    """

    name: str
    version: str
    runtime: Runtime
    contract: ContractReport
    cost: BatchCost = UNCALIBRATED

    @cached_property
    def ladder(self) -> Ladder:
        """The sides that its windows are padded to."""
        return Ladder(self.runtime.manifest.total_stride)

    @cached_property
    def halo(self) -> int:
        """What a window must hold around what is kept of it: whole cells, in pixels."""
        manifest = self.runtime.manifest
        return -(-manifest.receptive_radius // manifest.total_stride) * manifest.total_stride

    def choose_bucket(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width that a window is padded to."""
        return (
            self.ladder.choose_bucket((height, width)) if self.contract.holds else (height, width)
        )

    def predict_s(self, height: int, width: int) -> float:
        """Predict the seconds of one worker for a window alone."""
        bucket_height, bucket_width = self.choose_bucket(height, width)
        return self.cost.predict(bucket_height * bucket_width)

    def tile(self, max_pixels: int) -> Tiling:
        """Give what cutting for this model must respect.

        Args:
            max_pixels: of a window.
        """
        return Tiling(self.runtime.manifest.total_stride, self.halo, max_pixels)
